-- Instants are microseconds since 1970-01-01T00:00:00Z.
CREATE TABLE sandboxes (
    id                 TEXT PRIMARY KEY,
    plan               TEXT NOT NULL,
    metadata           TEXT NOT NULL,
    state              TEXT NOT NULL,
    reason             TEXT NOT NULL,
    message            TEXT,
    last_transition_at BIGINT NOT NULL,
    created_at         BIGINT NOT NULL,
    expires_at         BIGINT,
    slot               BIGINT NOT NULL,
    address            TEXT NOT NULL,
    accepted           BIGINT NOT NULL,
    execd_token        TEXT NOT NULL,
    access_token       TEXT NOT NULL
);
