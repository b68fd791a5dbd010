-- `name` tells positions of this database from another's, `position` is the last one given out, `forgotten` the highest
-- of a tombstone that is gone.
CREATE TABLE feed (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    name INTEGER NOT NULL,
    position INTEGER NOT NULL,
    forgotten INTEGER NOT NULL
);
INSERT INTO feed VALUES (1, random(), 0, 0);

CREATE TABLE request (
    id BLOB PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    answer BLOB NOT NULL,
    pending INTEGER NOT NULL,
    made INTEGER NOT NULL
);
CREATE INDEX request_made ON request (pending, made);

-- A tombstone has `buried` and no `row`; its state is 0.
CREATE TABLE video (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    source BLOB NOT NULL,
    revision INTEGER NOT NULL,
    position INTEGER NOT NULL UNIQUE,
    state INTEGER NOT NULL,
    shown INTEGER NOT NULL,
    created INTEGER NOT NULL,
    title TEXT NOT NULL,
    purge INTEGER,
    buried INTEGER,
    shown_source INTEGER NOT NULL,
    last_request BLOB,
    purging INTEGER NOT NULL,
    row BLOB
);
CREATE INDEX video_shown_created ON video (shown, created, id);
CREATE INDEX video_shown_title ON video (shown, title, id);
CREATE INDEX video_state_created ON video (state, created, id);
CREATE INDEX video_state_title ON video (state, title, id);
CREATE INDEX video_source ON video (source);
CREATE INDEX video_purge ON video (purge) WHERE purge IS NOT NULL;
CREATE INDEX video_purging ON video (number) WHERE purging = 1;
CREATE INDEX video_buried ON video (buried) WHERE buried IS NOT NULL;

CREATE TABLE word (
    word TEXT NOT NULL,
    video INTEGER NOT NULL,
    PRIMARY KEY (word, video)
) WITHOUT ROWID;
CREATE INDEX word_video ON word (video);

CREATE TABLE source (
    id BLOB PRIMARY KEY,
    upload BLOB NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    shown INTEGER NOT NULL,
    life INTEGER NOT NULL,
    upload_state INTEGER NOT NULL,
    row BLOB NOT NULL
);
CREATE INDEX source_unsettled ON source (id) WHERE shown < revision;
CREATE INDEX source_life ON source (life, upload_state, id);

CREATE TABLE page (
    source BLOB NOT NULL,
    number INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    row BLOB NOT NULL,
    PRIMARY KEY (source, number)
);
CREATE INDEX page_bytes ON page (source, bytes);

CREATE TABLE job (
    id TEXT PRIMARY KEY,
    source BLOB NOT NULL,
    class INTEGER NOT NULL,
    state INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    created INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    unapplied INTEGER NOT NULL,
    row BLOB NOT NULL,
    result BLOB
);
CREATE INDEX job_queue ON job (state, class, priority DESC, created, id);
CREATE INDEX job_due ON job (state, not_before);
CREATE INDEX job_source ON job (source, created);
CREATE INDEX job_created ON job (created);
CREATE INDEX job_unapplied ON job (id) WHERE unapplied = 1;
