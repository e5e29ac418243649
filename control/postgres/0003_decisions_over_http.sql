-- Decisions asked over HTTP: a rule's value of any kind, under the id that the client was told.

-- NULL in all others. Columns that are NULL are added without touching a row.
ALTER TABLE riskgate.decisions
	ADD COLUMN decision_id text,
	ADD COLUMN path text,           -- of the rule: payments/deny
	ADD COLUMN result jsonb,        -- NULL: undefined, or no JSONB could be made of it: see request_bytes
	ADD COLUMN error text,          -- of the evaluation
	ADD COLUMN requested_by text;   -- who asked, where the API knows it

CREATE INDEX decisions_decision_id ON riskgate.decisions (decision_id) WHERE decision_id IS NOT NULL;

CREATE OR REPLACE VIEW riskgate.decision_list AS SELECT
	receive_time,
	CASE WHEN request_id < 0 THEN request_id::numeric + 18446744073709551616 ELSE request_id END AS request_id,
	verdict, score, reasons, template, revision, status, latency_ns, client, client_port, request,
	node, epoch, worker, sequence, decision_id, path, result, error, requested_by
	FROM riskgate.decisions;
