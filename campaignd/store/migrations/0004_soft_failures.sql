-- Campaigns that could not be delivered to an address for a reason that may pass, such as a full
-- mailbox. address_key is the MD5 of the address in lower case. Only failures are written; whether
-- something was accepted is asked when there are enough of them. Then those before it go, or, with
-- the suppression, all.

CREATE TABLE soft_failures (
    account VARCHAR(64) NOT NULL,
    address_key BINARY(16) NOT NULL,
    campaign_id BIGINT UNSIGNED NOT NULL,
    at DATETIME(3) NOT NULL,
    PRIMARY KEY (account, address_key, campaign_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
