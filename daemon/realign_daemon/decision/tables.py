"""Tables: what a node keeps of decisions, as SQL for the schema."""

TABLES = """
-- A voter's promises and votes. An answer leaves only after its row is committed. Lose one, and a job can end twice.
CREATE TABLE IF NOT EXISTS ballots (
  job_id TEXT NOT NULL, instance INTEGER NOT NULL,
  promised_config_epoch INTEGER NOT NULL, promised_epoch INTEGER NOT NULL, promised_node TEXT NOT NULL,
  voted_config_epoch INTEGER, voted_epoch INTEGER, voted_node TEXT, voted_value BLOB,
  PRIMARY KEY (job_id, instance)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS decisions (
  job_id TEXT NOT NULL, instance INTEGER NOT NULL, config_epoch INTEGER NOT NULL, value BLOB NOT NULL,
  PRIMARY KEY (job_id, instance)
) WITHOUT ROWID;
"""
