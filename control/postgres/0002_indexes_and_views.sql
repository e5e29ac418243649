-- What an investigator looks for: a request by its number, a time, what was not allowed.

-- Of each 128 pages the first and last time: next to nothing to write.
CREATE INDEX decisions_receive_time ON riskgate.decisions USING brin (receive_time);
CREATE INDEX decisions_request_id ON riskgate.decisions (request_id);
-- Most decisions are ALLOW; the others are the ones looked for.
CREATE INDEX decisions_not_allowed ON riskgate.decisions (verdict, receive_time) WHERE verdict <> 'ALLOW';

-- With request_id as the client wrote it.
CREATE VIEW riskgate.decision_list AS SELECT
	receive_time,
	CASE WHEN request_id < 0 THEN request_id::numeric + 18446744073709551616 ELSE request_id END AS request_id,
	verdict, score, reasons, template, revision, status, latency_ns, client, client_port, request,
	node, epoch, worker, sequence
	FROM riskgate.decisions;

-- How often each reason was given, by hour, revision and verdict.
CREATE VIEW riskgate.reason_counts AS SELECT
	date_trunc('hour', receive_time) AS hour, template, revision, verdict, reason, count(*) AS decisions
	FROM riskgate.decisions CROSS JOIN LATERAL unnest(reasons) AS reason
	GROUP BY 1, 2, 3, 4, 5;

-- How far each riskgate's journal is stored.
CREATE VIEW riskgate.progress AS SELECT node, instance, stored, frame, moved, now() - moved AS quiet_for
	FROM riskgate.checkpoints;
