-- By which claim a view counted: 16 bytes.
ALTER TABLE viewer ADD COLUMN counted_by BLOB;
