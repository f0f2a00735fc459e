-- Suppressions by the address in whatever letter case, by domain and by hash.
--
-- kind: 1 address, 2 domain, 3 domain with those below it, 4 SHA-256 of an address. The key is the
-- MD5 of the address in lower case (1) or of the domain (2, 3), or the first half of the hash (4).
-- address is what the key was made of, as far as it is known: '' for an address of which only the
-- MD5 was handed in, and the whole hash in hexadecimal (4). reason: 1 imported, 2 bounced,
-- 3 manual, 4 unsubscribed, 5 complained. account '' suppresses for every account.
--
-- No command has ever written the earlier table. What somebody else may have put there is kept: as
-- the key of an address that has no capital letters before the @.

UPDATE suppressions SET reason = CASE reason
    WHEN '1' THEN '1' WHEN 'imported' THEN '1' WHEN '2' THEN '2' WHEN 'bounced' THEN '2'
    WHEN '4' THEN '4' WHEN 'unsubscribed' THEN '4' WHEN '5' THEN '5' WHEN 'complained' THEN '5'
    ELSE '3' END;

ALTER TABLE suppressions
    CHANGE COLUMN address_key suppression_key BINARY(16) NOT NULL,
    MODIFY COLUMN reason TINYINT UNSIGNED NOT NULL,
    ADD COLUMN kind TINYINT UNSIGNED NOT NULL DEFAULT 1 AFTER account,
    ADD COLUMN address VARCHAR(320) NOT NULL DEFAULT '',
    ADD COLUMN note VARCHAR(200) NOT NULL DEFAULT '',
    DROP PRIMARY KEY,
    ADD PRIMARY KEY (account, kind, suppression_key);
