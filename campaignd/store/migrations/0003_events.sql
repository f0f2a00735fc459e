-- What is learnt about a message after its outcome. event is numbered in store/feedback.py; at is
-- when it happened, recorded_at when we were told.
CREATE TABLE events (
    campaign_id BIGINT UNSIGNED NOT NULL,
    shard INT UNSIGNED NOT NULL,
    seq INT UNSIGNED NOT NULL,
    event TINYINT UNSIGNED NOT NULL,
    permanent TINYINT UNSIGNED NOT NULL,
    at DATETIME(3) NOT NULL,
    recorded_at DATETIME(3) NOT NULL,
    source VARCHAR(64) NOT NULL,
    enhanced VARCHAR(12) NOT NULL,
    detail VARCHAR(500) NOT NULL,
    PRIMARY KEY (campaign_id, shard, seq, event),
    KEY by_event (campaign_id, event)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
