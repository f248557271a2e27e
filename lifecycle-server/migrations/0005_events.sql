-- What happened to sandboxes, in the order in which it was committed. A row may outlive its sandbox: readers that were
-- away go on from the last one they saw. Instants are microseconds since 1970-01-01T00:00:00Z.
CREATE TABLE events (
    id         BIGINT PRIMARY KEY,
    at         BIGINT NOT NULL,
    sandbox_id TEXT NOT NULL,
    kind       TEXT NOT NULL,
    tenant     TEXT,
    state      TEXT,
    reason     TEXT,
    message    TEXT,
    metadata   TEXT NOT NULL,
    details    TEXT,
    size       BIGINT NOT NULL
);

CREATE INDEX events_of_sandbox ON events (sandbox_id, id);

-- One row. Whoever takes a number holds it until his commit, so numbers are seen in their order. Up to floor_id, rows may
-- have been removed to save space.
CREATE TABLE event_sequence (
    last_id  BIGINT NOT NULL,
    floor_id BIGINT NOT NULL
);

INSERT INTO event_sequence (last_id, floor_id) VALUES (0, 0);
