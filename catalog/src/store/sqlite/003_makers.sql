-- `tried_by` is set where a part failed: the version that tried it last. `format` is set where there is an index: its form's.
ALTER TABLE source ADD COLUMN tried_by INTEGER;
ALTER TABLE source ADD COLUMN format INTEGER;
CREATE INDEX source_tried_by ON source (tried_by) WHERE tried_by IS NOT NULL;
CREATE INDEX source_format ON source (format) WHERE format IS NOT NULL;

-- `orphan` says that the job's source is gone: only then it is forgotten, and only those are looked at.
ALTER TABLE job ADD COLUMN maker INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN orphan INTEGER NOT NULL DEFAULT 0;
UPDATE job SET orphan = 1 WHERE NOT EXISTS (SELECT 1 FROM source WHERE source.id = job.source);
CREATE INDEX job_orphan ON job (updated) WHERE orphan = 1;
