PRAGMA cache_size = 200;
CREATE TABLE numbers (id INTEGER PRIMARY KEY, text TEXT, square INTEGER);
CREATE INDEX by_text ON numbers (text);
BEGIN;
INSERT INTO numbers WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150000)
    SELECT i, hex(i * 7919 % 150000) || i, i * i FROM n;
SELECT count(*), sum(square) FROM numbers;
COMMIT;
BEGIN;
UPDATE numbers SET text = text || '.' WHERE id % 3 = 0;
DELETE FROM numbers WHERE id % 5 = 0;
SELECT count(*), sum(square), max(text) FROM numbers;
COMMIT;
PRAGMA integrity_check;
SELECT text, square FROM numbers ORDER BY text LIMIT 20;
