-- The decisions, one partition a day, and what the sink must remember.

CREATE TABLE riskgate.decisions (
	receive_time timestamptz NOT NULL,  -- when the request came, cut to microseconds
	receive_time_ns bigint NOT NULL,    -- the same, unix nanoseconds
	node bigint NOT NULL,               -- (node, epoch, worker, sequence) is the key of a record
	epoch bigint NOT NULL,
	worker integer NOT NULL,
	sequence bigint NOT NULL,
	request_id bigint NOT NULL,         -- the client's, 64 bits: above 2^63 it shows as negative
	latency_ns bigint NOT NULL,
	client inet NOT NULL,
	client_port integer NOT NULL,
	template text NOT NULL,             -- '' when the schema in use does not have it
	schema_version integer NOT NULL,    -- of the sender
	policy_sequence bigint NOT NULL,
	revision text,
	verdict text NOT NULL,
	status text NOT NULL,
	score numeric NOT NULL,
	reasons text[] NOT NULL,            -- the primary one first
	reasons_fired integer NOT NULL,
	flags integer NOT NULL,
	request jsonb,                      -- what Rego saw under input; absent fields are left out
	request_bytes bytea                 -- the message's block, when no JSON could be made of it
) PARTITION BY RANGE (receive_time);

-- Where in its journal each riskgate is. Moved in the transaction that stores the rows.
CREATE TABLE riskgate.checkpoints (
	node bigint NOT NULL,
	instance text NOT NULL,
	frame bigint NOT NULL,
	segment bigint NOT NULL,
	position bigint NOT NULL,
	stored bigint NOT NULL,
	moved timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (node, instance)
);

-- What policy sequences and reason ids of each riskgate mean.
CREATE TABLE riskgate.policies (
	node bigint NOT NULL,
	instance text NOT NULL,
	sequence bigint NOT NULL,
	bundle text NOT NULL,
	revision text NOT NULL,
	pushed timestamptz NOT NULL,
	PRIMARY KEY (node, instance, sequence)
);
CREATE TABLE riskgate.reasons (
	node bigint NOT NULL,
	instance text NOT NULL,
	id integer NOT NULL,
	name text NOT NULL,
	PRIMARY KEY (node, instance, id)
);

-- Make the partition of a day (UTC) unless it is there. Attaching it stops neither readers nor
-- other writers; the lock keeps two nodes from making the same one.
CREATE FUNCTION riskgate.ensure_day(day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	name text := 'decisions_' || to_char(day, 'YYYYMMDD');
BEGIN
	IF to_regclass('riskgate.' || name) IS NOT NULL THEN
		RETURN;
	END IF;
	PERFORM pg_advisory_xact_lock(1919513451, 2);
	IF to_regclass('riskgate.' || name) IS NOT NULL THEN
		RETURN;
	END IF;
	EXECUTE format('CREATE TABLE riskgate.%I (LIKE riskgate.decisions INCLUDING ALL)', name);
	EXECUTE format('CREATE UNIQUE INDEX %I ON riskgate.%I (node, epoch, worker, sequence)', name || '_key', name);
	EXECUTE format('ALTER TABLE riskgate.decisions ATTACH PARTITION riskgate.%I FOR VALUES FROM (%L) TO (%L)',
		name, day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00');
END $$;

-- Drop the oldest partition that ends before a day (UTC). Returns its name, NULL when there is none.
-- It does not wait for long for those who read it: then it is tried again later.
CREATE FUNCTION riskgate.drop_day_before(day date) RETURNS text LANGUAGE plpgsql
	SET lock_timeout = '2s' AS $$
DECLARE
	name text;
BEGIN
	SELECT c.relname INTO name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = 'riskgate.decisions'::regclass AND c.relname < 'decisions_' || to_char(day, 'YYYYMMDD')
		ORDER BY c.relname LIMIT 1;
	IF name IS NOT NULL THEN
		EXECUTE format('DROP TABLE riskgate.%I', name);
	END IF;
	RETURN name;
END $$;

-- Move a checkpoint, if it is where the writer believes it to be: two writers with one node number,
-- or one that does not know of a failover, store nothing twice.
CREATE FUNCTION riskgate.move_checkpoint(of_node bigint, of_instance text, expected bigint, new_frame bigint,
	new_segment bigint, new_position bigint, new_stored bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	UPDATE riskgate.checkpoints SET frame = new_frame, segment = new_segment, position = new_position,
		stored = new_stored, moved = now()
		WHERE node = of_node AND instance = of_instance AND frame = expected;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'the checkpoint of node % instance % is not at frame %: another riskgate writes with this node and instance',
			of_node, of_instance, expected USING ERRCODE = 'serialization_failure';
	END IF;
END $$;
