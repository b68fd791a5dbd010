-- `flushes` are the last numbers that were added to `views`: 24 bytes each, name and number.
ALTER TABLE video ADD COLUMN views INTEGER NOT NULL DEFAULT 0;
ALTER TABLE video ADD COLUMN flushes BLOB NOT NULL DEFAULT x'';

-- What a viewer watched of a video, for a day: pairs of milliseconds in `watched`.
CREATE TABLE viewer (
    video BLOB NOT NULL,
    viewer BLOB NOT NULL,
    began INTEGER NOT NULL,
    counted INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    watched BLOB NOT NULL,
    PRIMARY KEY (video, viewer)
) WITHOUT ROWID;
CREATE INDEX viewer_began ON viewer (began);
