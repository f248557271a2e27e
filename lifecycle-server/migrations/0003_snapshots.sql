-- Instants are microseconds since 1970-01-01T00:00:00Z.
CREATE TABLE snapshots (
    id                 TEXT PRIMARY KEY,
    sandbox_id         TEXT NOT NULL,
    name               TEXT,
    state              TEXT NOT NULL,
    reason             TEXT NOT NULL,
    message            TEXT,
    last_transition_at BIGINT NOT NULL,
    created_at         BIGINT NOT NULL,
    image_id           TEXT
);
CREATE INDEX snapshots_by_age ON snapshots (created_at, id);
