-- Several connections of one riskgate: each is a lane, with a checkpoint of its own.

ALTER TABLE riskgate.checkpoints
	ADD COLUMN lane integer NOT NULL DEFAULT 0,
	ADD COLUMN lanes integer NOT NULL DEFAULT 1,
	DROP CONSTRAINT checkpoints_pkey,
	ADD PRIMARY KEY (node, instance, lane);

-- The checkpoint of a lane. Where there is none, or those of another number of lanes, all are made
-- anew at the least place that there is: what lies beyond it and is stored already, the key of the
-- decisions passes over.
CREATE FUNCTION riskgate.open_lane(of_node bigint, of_instance text, of_lane integer, of_lanes integer)
	RETURNS riskgate.checkpoints LANGUAGE plpgsql AS $$
DECLARE
	mine riskgate.checkpoints;
	least riskgate.checkpoints;
	total bigint;
BEGIN
	SELECT * INTO mine FROM riskgate.checkpoints
		WHERE node = of_node AND instance = of_instance AND lane = of_lane AND lanes = of_lanes;
	IF FOUND THEN
		RETURN mine;
	END IF;
	PERFORM pg_advisory_xact_lock(1919513451, 3);  -- another lane may do it just now
	SELECT * INTO mine FROM riskgate.checkpoints
		WHERE node = of_node AND instance = of_instance AND lane = of_lane AND lanes = of_lanes;
	IF FOUND THEN
		RETURN mine;
	END IF;
	-- From here on lanes of the old number, of a riskgate that still runs, can move nothing.
	PERFORM FROM riskgate.checkpoints WHERE node = of_node AND instance = of_instance FOR UPDATE;
	SELECT * INTO least FROM riskgate.checkpoints
		WHERE node = of_node AND instance = of_instance ORDER BY frame LIMIT 1;
	SELECT coalesce(sum(stored), 0) INTO total FROM riskgate.checkpoints
		WHERE node = of_node AND instance = of_instance;
	DELETE FROM riskgate.checkpoints WHERE node = of_node AND instance = of_instance;
	INSERT INTO riskgate.checkpoints (node, instance, frame, segment, position, stored, lane, lanes)
		SELECT of_node, of_instance, coalesce(least.frame, 0), coalesce(least.segment, 0),
			coalesce(least.position, 0), CASE number WHEN 0 THEN total ELSE 0 END, number, of_lanes
		FROM generate_series(0, of_lanes - 1) AS number;
	SELECT * INTO mine FROM riskgate.checkpoints
		WHERE node = of_node AND instance = of_instance AND lane = of_lane;
	RETURN mine;
END $$;

-- As before, of a lane, and only while there are as many lanes as its writer believes.
DROP FUNCTION riskgate.move_checkpoint(bigint, text, bigint, bigint, bigint, bigint, bigint);
CREATE FUNCTION riskgate.move_checkpoint(of_node bigint, of_instance text, of_lane integer, of_lanes integer,
	expected bigint, new_frame bigint, new_segment bigint, new_position bigint, new_stored bigint)
	RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	UPDATE riskgate.checkpoints SET frame = new_frame, segment = new_segment, position = new_position,
		stored = new_stored, moved = now()
		WHERE node = of_node AND instance = of_instance AND lane = of_lane AND lanes = of_lanes AND frame = expected;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'the checkpoint of node % instance % lane % of % is not at frame %: another riskgate writes with this node and instance',
			of_node, of_instance, of_lane, of_lanes, expected USING ERRCODE = 'serialization_failure';
	END IF;
END $$;

-- How far each riskgate's journal is stored: everything before the frame.
CREATE OR REPLACE VIEW riskgate.progress AS SELECT node, instance, sum(stored)::bigint AS stored,
	min(frame) AS frame, max(moved) AS moved, now() - max(moved) AS quiet_for
	FROM riskgate.checkpoints GROUP BY node, instance;
