-- The unique key makes a repeated event a conflict, which `ON CONFLICT DO NOTHING` turns into no row and no count.
CREATE TABLE api_keys (
    hash        text PRIMARY KEY,
    id          text NOT NULL UNIQUE,
    consumer_id text NOT NULL,
    services    text[] NOT NULL,
    active      boolean NOT NULL DEFAULT true
);

CREATE TABLE usage_events (
    consumer_id      text NOT NULL,
    source           text NOT NULL,
    id               text NOT NULL,
    api_key_id       text NOT NULL,
    service          text NOT NULL,
    time             timestamptz NOT NULL,
    received_at      timestamptz NOT NULL DEFAULT now(),
    requests         bigint NOT NULL,
    request_bytes    bigint NOT NULL,
    response_bytes   bigint NOT NULL,
    response_time_ms double precision,
    status_code      integer,
    metadata         text,
    PRIMARY KEY (consumer_id, source, id)
);

CREATE TABLE usage_counters (
    api_key_id     text NOT NULL,
    service        text NOT NULL,
    hour           timestamptz NOT NULL,
    events         bigint NOT NULL,
    requests       bigint NOT NULL,
    request_bytes  bigint NOT NULL,
    response_bytes bigint NOT NULL,
    PRIMARY KEY (api_key_id, service, hour)
) WITH (fillfactor = 50);  -- room for updated rows on the same page (HOT), since every event updates one
