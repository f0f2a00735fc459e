-- Campaigns, their frozen audiences, the shards that hosts lease, and the ledger of facts.

CREATE TABLE campaigns (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    account VARCHAR(64) NOT NULL,
    enqueue_key VARCHAR(128) NULL,
    name VARCHAR(200) NOT NULL,
    state VARCHAR(16) NOT NULL,
    reason VARCHAR(200) NOT NULL DEFAULT '',
    spec MEDIUMTEXT NOT NULL,
    fields MEDIUMTEXT NOT NULL,
    total INT UNSIGNED NOT NULL DEFAULT 0,
    input_rows BIGINT UNSIGNED NOT NULL DEFAULT 0,
    invalid_rows BIGINT UNSIGNED NOT NULL DEFAULT 0,
    duplicate_rows BIGINT UNSIGNED NOT NULL DEFAULT 0,
    fingerprint VARCHAR(64) NOT NULL DEFAULT '',
    created_at DATETIME(3) NOT NULL,
    starts_at DATETIME(3) NULL,
    started_at DATETIME(3) NULL,
    finished_at DATETIME(3) NULL,
    UNIQUE KEY by_key (account, enqueue_key),
    KEY by_state (state, starts_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The marks claimed, done and ambiguous are sequence numbers within the shard, 0 for none.
CREATE TABLE shards (
    campaign_id BIGINT UNSIGNED NOT NULL,
    shard INT UNSIGNED NOT NULL,
    size INT UNSIGNED NOT NULL,
    epoch INT UNSIGNED NOT NULL DEFAULT 0,
    owner VARCHAR(64) NOT NULL DEFAULT '',
    clean TINYINT UNSIGNED NOT NULL DEFAULT 1,
    finished TINYINT UNSIGNED NOT NULL DEFAULT 0,
    claimed INT UNSIGNED NOT NULL DEFAULT 0,
    done INT UNSIGNED NOT NULL DEFAULT 0,
    ambiguous INT UNSIGNED NOT NULL DEFAULT 0,
    due_at DATETIME(3) NOT NULL,
    deferred INT UNSIGNED NOT NULL DEFAULT 0,
    accepted INT UNSIGNED NOT NULL DEFAULT 0,
    rejected INT UNSIGNED NOT NULL DEFAULT 0,
    expired INT UNSIGNED NOT NULL DEFAULT 0,
    suppressed INT UNSIGNED NOT NULL DEFAULT 0,
    `unknown` INT UNSIGNED NOT NULL DEFAULT 0,
    maybe_duplicates INT UNSIGNED NOT NULL DEFAULT 0,
    PRIMARY KEY (campaign_id, shard),
    KEY by_due (campaign_id, finished, due_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- fields holds a JSON array of values in the order of campaigns.fields.
-- address_key is the MD5 of the address with its domain in lower case: it finds duplicates and
-- answers "did this customer get our mail".
CREATE TABLE recipients (
    campaign_id BIGINT UNSIGNED NOT NULL,
    shard INT UNSIGNED NOT NULL,
    seq INT UNSIGNED NOT NULL,
    address VARCHAR(320) NOT NULL,
    address_key BINARY(16) NOT NULL,
    fields MEDIUMTEXT NOT NULL,
    PRIMARY KEY (campaign_id, shard, seq),
    UNIQUE KEY by_address (campaign_id, address_key)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE ledger (
    campaign_id BIGINT UNSIGNED NOT NULL,
    shard INT UNSIGNED NOT NULL,
    seq INT UNSIGNED NOT NULL,
    attempt SMALLINT UNSIGNED NOT NULL,
    outcome TINYINT UNSIGNED NOT NULL,
    maybe_duplicate TINYINT UNSIGNED NOT NULL,
    code SMALLINT UNSIGNED NOT NULL,
    enhanced VARCHAR(12) NOT NULL,
    at DATETIME(3) NOT NULL,
    host VARCHAR(64) NOT NULL,
    relay VARCHAR(64) NOT NULL,
    response VARCHAR(500) NOT NULL,
    PRIMARY KEY (campaign_id, shard, seq, attempt)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- A row is a recipient that waits for its next attempt. claimed_epoch is the epoch of the shard's
-- holder that claimed that attempt, 0 while nobody has.
CREATE TABLE retries (
    campaign_id BIGINT UNSIGNED NOT NULL,
    shard INT UNSIGNED NOT NULL,
    seq INT UNSIGNED NOT NULL,
    attempt SMALLINT UNSIGNED NOT NULL,
    maybe_duplicate TINYINT UNSIGNED NOT NULL,
    claimed_epoch INT UNSIGNED NOT NULL DEFAULT 0,
    due_at DATETIME(3) NOT NULL,
    PRIMARY KEY (campaign_id, shard, seq),
    KEY by_due (campaign_id, shard, claimed_epoch, due_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- account '' suppresses for every account.
CREATE TABLE suppressions (
    account VARCHAR(64) NOT NULL,
    address_key BINARY(16) NOT NULL,
    reason VARCHAR(200) NOT NULL,
    created_at DATETIME(3) NOT NULL,
    PRIMARY KEY (account, address_key)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
