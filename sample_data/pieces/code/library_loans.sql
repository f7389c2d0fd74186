-- The lending desk of a small library: which books are out, who is late, and what to buy next.
-- Written for SQLite, and it should run on most other databases with small changes.

CREATE TABLE book (
    id      INTEGER PRIMARY KEY,
    title   TEXT NOT NULL,
    shelf   TEXT NOT NULL
);

CREATE TABLE reader (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL,
    child   INTEGER NOT NULL DEFAULT 0      -- children pay no fines
);

CREATE TABLE loan (
    book        INTEGER NOT NULL REFERENCES book (id),
    reader      INTEGER NOT NULL REFERENCES reader (id),
    taken       TEXT NOT NULL,              -- dates as ISO text, so that they sort as they should
    returned    TEXT,                       -- empty as long as the book is out
    PRIMARY KEY (book, taken)
);

-- One book can be with one reader at a time. A partial index says so, and the database will
-- refuse a second open loan instead of trusting the person at the desk to notice it.
CREATE UNIQUE INDEX one_open_loan ON loan (book) WHERE returned IS NULL;

-- Everybody who has had a book for more than twenty-one days, the longest first, with what it
-- costs them: ten cents for each day beyond the three weeks, and nothing at all for children.
SELECT
    reader.name,
    book.title,
    CAST(julianday('now') - julianday(loan.taken) AS INTEGER) - 21 AS days_late,
    CASE
        WHEN reader.child THEN 0.0
        ELSE 0.10 * (CAST(julianday('now') - julianday(loan.taken) AS INTEGER) - 21)
    END AS fine
FROM loan
JOIN reader ON reader.id = loan.reader
JOIN book ON book.id = loan.book
WHERE loan.returned IS NULL
  AND julianday('now') - julianday(loan.taken) > 21
ORDER BY days_late DESC;

-- A title that has been out for most of the last year wants a second copy.
SELECT book.title, count(*) AS times, sum(julianday(coalesce(returned, 'now')) - julianday(taken)) AS days_out
FROM loan JOIN book ON book.id = loan.book
WHERE taken >= date('now', '-1 year')
GROUP BY book.id
HAVING days_out > 250
ORDER BY days_out DESC;
