-- The event log: each (topic, id) once and for ever, at positions 0, 1, 2, … without gaps.
-- The log's one row is locked before anything is decided and until it is committed, so positions
-- are given in the order of commits, and a reader that sees a position sees all before it.

CREATE TABLE kilat.event_log (
    one             boolean PRIMARY KEY DEFAULT true CHECK (one),
    -- Names the log: another database has another one.
    history         uuid NOT NULL DEFAULT gen_random_uuid(),
    -- The next position, which is how many events there are.
    next            bigint NOT NULL DEFAULT 0,
    -- The time of the newest events: time never goes back, whatever the server's clock does.
    last_at         bigint NOT NULL DEFAULT 0,
    received        bigint NOT NULL DEFAULT 0,
    duplicates      bigint NOT NULL DEFAULT 0,
    conflicts       bigint NOT NULL DEFAULT 0,
    projected       bigint NOT NULL DEFAULT 0,
    topics          integer NOT NULL DEFAULT 0,
    -- Bodies before the first are forgotten, before the second also dropped.
    forgotten_below bigint NOT NULL DEFAULT 0,
    reclaimed_below bigint NOT NULL DEFAULT 0,
    CONSTRAINT nothing_uncounted CHECK (next = received - duplicates - conflicts + projected)
) WITH (fillfactor = 20);
INSERT INTO kilat.event_log DEFAULT VALUES;

-- Numbered in the order of their first events.
CREATE TABLE kilat.event_topics (
    number          integer PRIMARY KEY,
    name            text COLLATE "C" NOT NULL UNIQUE,
    events          bigint NOT NULL DEFAULT 0,
    forgotten_below bigint NOT NULL DEFAULT 0,
    reclaimed_below bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
CREATE INDEX event_topics_to_reclaim ON kilat.event_topics (number)
    WHERE reclaimed_below < forgotten_below;

-- A key that is unique for ever has to contain what the table is divided by, and what it is divided
-- by must spread one hot topic too: so it is the key itself.
CREATE TABLE kilat.events (
    position    bigint NOT NULL,
    received_at bigint NOT NULL,
    content     uuid NOT NULL, -- The print of what it says: 16 bytes.
    topic       integer NOT NULL,
    id          text COLLATE "C" NOT NULL,
    body        bytea, -- Null when it is forgotten.
    PRIMARY KEY (topic, id)
) PARTITION BY HASH (topic, id);
CREATE TABLE kilat.events_0 PARTITION OF kilat.events FOR VALUES WITH (MODULUS 8, REMAINDER 0);
CREATE TABLE kilat.events_1 PARTITION OF kilat.events FOR VALUES WITH (MODULUS 8, REMAINDER 1);
CREATE TABLE kilat.events_2 PARTITION OF kilat.events FOR VALUES WITH (MODULUS 8, REMAINDER 2);
CREATE TABLE kilat.events_3 PARTITION OF kilat.events FOR VALUES WITH (MODULUS 8, REMAINDER 3);
CREATE TABLE kilat.events_4 PARTITION OF kilat.events FOR VALUES WITH (MODULUS 8, REMAINDER 4);
CREATE TABLE kilat.events_5 PARTITION OF kilat.events FOR VALUES WITH (MODULUS 8, REMAINDER 5);
CREATE TABLE kilat.events_6 PARTITION OF kilat.events FOR VALUES WITH (MODULUS 8, REMAINDER 6);
CREATE TABLE kilat.events_7 PARTITION OF kilat.events FOR VALUES WITH (MODULUS 8, REMAINDER 7);
CREATE INDEX events_position ON kilat.events (position);
CREATE INDEX events_topic ON kilat.events (topic, position);

-- What each publishing process did last, so that the same batch, sent again because its answer was
-- lost, gets the same answer and is not counted again.
CREATE TABLE kilat.event_publishers (
    id      uuid PRIMARY KEY,
    turn    bigint NOT NULL,
    first   bigint NOT NULL, -- It stored the positions from here
    next    bigint NOT NULL, -- to before here.
    seen_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Stores a batch. Event n is of the topic names[slots[n]] and the first with its key in this batch
-- is event firsts[n]. What became of it is kinds[n]: 0 stored, 1 a duplicate, 2 a conflict, at
-- positions[n]. Both are null, and nothing is stored, when publishers would make too many topics.
CREATE FUNCTION kilat.publish(
    publisher uuid, its_turn bigint, names text[], slots integer[], ids text[], contents uuid[],
    bodies bytea[], projected boolean[], firsts integer[], topics_max integer,
    OUT kinds smallint[], OUT positions bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
    log     kilat.event_log;
    before  kilat.event_publishers;
    numbers integer[];
    again   boolean;
    added   integer;
    now_ms  bigint;
    sums    record;
BEGIN
    SELECT * INTO log FROM kilat.event_log l FOR UPDATE;
    SELECT * INTO before FROM kilat.event_publishers p WHERE p.id = publisher;
    again := coalesce(before.turn = its_turn, false);
    now_ms := greatest(log.last_at, kilat.clock_ms());
    SELECT array_agg(t.number ORDER BY n.ord), count(*) FILTER (WHERE t.number IS NULL)
        INTO numbers, added
        FROM unnest(names) WITH ORDINALITY n(name, ord)
        LEFT JOIN LATERAL (
            SELECT k.number FROM kilat.event_topics k WHERE k.name = n.name COLLATE "C" LIMIT 1
        ) t ON true;
    IF added > 0 THEN
        -- A sale's own topic always fits.
        IF log.topics + added > topics_max AND EXISTS (
            SELECT FROM unnest(slots, projected) a(slot, is_fact)
                WHERE NOT a.is_fact AND numbers[a.slot] IS NULL
        ) THEN
            RETURN;
        END IF;
        INSERT INTO kilat.event_topics (number, name)
            SELECT log.topics + row_number() OVER (ORDER BY n.ord) - 1, n.name
            FROM unnest(names, numbers) WITH ORDINALITY n(name, number, ord)
            WHERE n.number IS NULL;
        SELECT array_agg(t.number ORDER BY n.ord) INTO numbers
            FROM unnest(names) WITH ORDINALITY n(name, ord)
            JOIN LATERAL (
                SELECT k.number FROM kilat.event_topics k WHERE k.name = n.name COLLATE "C" LIMIT 1
            ) t ON true;
    END IF;
    WITH known AS (
        SELECT a.*, e.position AS place, e.content AS said
        FROM unnest(slots, ids, contents, bodies, projected, firsts)
            WITH ORDINALITY a(slot, id, content, body, is_fact, first, ord)
        -- A limit makes it one look into one index, whatever the planner believes.
        LEFT JOIN LATERAL (
            SELECT k.position, k.content FROM kilat.events k
                WHERE k.topic = numbers[a.slot] AND k.id = a.id COLLATE "C" LIMIT 1
        ) e ON true
    ), numbered AS MATERIALIZED (
        SELECT k.*, CASE WHEN k.place IS NULL AND k.ord = k.first THEN log.next - 1
            + count(*) FILTER (WHERE k.place IS NULL AND k.ord = k.first) OVER (ORDER BY k.ord) END
            AS given
        FROM known k
    ), decided AS (
        SELECT n.ord, n.is_fact, coalesce(n.given, n.place, first_value(n.given) OVER same) AS place,
            CASE
                WHEN n.given IS NOT NULL THEN 0
                WHEN again AND n.ord = n.first AND n.place >= before.first AND n.place < before.next
                    THEN 0
                WHEN n.content = coalesce(n.said, first_value(n.content) OVER same) THEN 1
                ELSE 2
            END::smallint AS kind
        FROM numbered n WINDOW same AS (PARTITION BY n.first ORDER BY n.ord)
    ), stored AS (
        INSERT INTO kilat.events (position, received_at, content, topic, id, body)
            SELECT n.given, now_ms, n.content, numbers[n.slot], n.id, n.body
            FROM numbered n WHERE n.given IS NOT NULL
    ), counted AS (
        UPDATE kilat.event_topics t SET events = t.events + c.events
            FROM (
                SELECT numbers[n.slot] AS number, count(*) AS events
                FROM numbered n WHERE n.given IS NOT NULL GROUP BY 1
            ) c WHERE t.number = c.number
    )
    SELECT array_agg(d.kind ORDER BY d.ord) AS kinds, array_agg(d.place ORDER BY d.ord) AS places,
        count(*) FILTER (WHERE d.kind = 0) AS stored,
        count(*) FILTER (WHERE d.kind = 0 AND d.is_fact) AS facts,
        count(*) FILTER (WHERE NOT d.is_fact) AS received,
        count(*) FILTER (WHERE d.kind = 1 AND NOT d.is_fact) AS duplicates,
        count(*) FILTER (WHERE d.kind = 2 AND NOT d.is_fact) AS conflicts
        INTO sums FROM decided d;
    kinds := sums.kinds;
    positions := sums.places;
    IF again THEN
        RETURN;
    END IF;
    UPDATE kilat.event_log l SET next = log.next + sums.stored, last_at = now_ms,
        received = log.received + sums.received, duplicates = log.duplicates + sums.duplicates,
        conflicts = log.conflicts + sums.conflicts, projected = log.projected + sums.facts,
        topics = log.topics + added;
    INSERT INTO kilat.event_publishers (id, turn, first, next, seen_at)
        VALUES (publisher, its_turn, log.next, log.next + sums.stored, now())
        ON CONFLICT (id) DO UPDATE SET turn = excluded.turn, first = excluded.first,
            next = excluded.next, seen_at = excluded.seen_at;
END
$$;

-- Forgets the bodies of the events that there are, of one topic or of all, received before a time
-- or ever. Says below which position.
CREATE FUNCTION kilat.forget(topic_name text, before_ms bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    log    kilat.event_log;
    low    bigint := 0;
    high   bigint;
    middle bigint;
    at     bigint;
BEGIN
    SELECT * INTO log FROM kilat.event_log l FOR UPDATE;
    high := log.next;
    IF before_ms IS NULL THEN
        low := high;
    END IF;
    -- Times never go back in the log.
    WHILE low < high LOOP
        middle := low + (high - low) / 2;
        SELECT e.received_at INTO at FROM kilat.events e WHERE e.position = middle;
        IF at < before_ms THEN
            low := middle + 1;
        ELSE
            high := middle;
        END IF;
    END LOOP;
    IF topic_name IS NULL THEN
        UPDATE kilat.event_log l SET forgotten_below = greatest(l.forgotten_below, low);
    ELSE
        UPDATE kilat.event_topics t SET forgotten_below = greatest(t.forgotten_below, low)
            WHERE t.name = topic_name COLLATE "C";
    END IF;
    RETURN low;
END
$$;

-- Drops up to `most` forgotten bodies. Says whether there may be more.
CREATE FUNCTION kilat.reclaim(most integer) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    log    kilat.event_log;
    topic  kilat.event_topics;
    keys   record;
BEGIN
    IF NOT pg_try_advisory_xact_lock(7020303, 4) THEN
        RETURN false;
    END IF;
    SELECT * INTO log FROM kilat.event_log l;
    IF log.reclaimed_below < log.forgotten_below THEN
        SELECT array_agg(f.topic) AS topics, array_agg(f.id) AS ids, count(*) AS found,
            max(f.position) AS last INTO keys
            FROM (
                SELECT e.topic, e.id, e.position FROM kilat.events e
                    WHERE e.position >= log.reclaimed_below AND e.position < log.forgotten_below
                    ORDER BY e.position LIMIT most
            ) f;
        PERFORM kilat.drop_bodies(keys.topics, keys.ids);
        UPDATE kilat.event_log l SET reclaimed_below =
            CASE WHEN keys.found < most THEN log.forgotten_below ELSE keys.last + 1 END;
        RETURN true;
    END IF;
    SELECT * INTO topic FROM kilat.event_topics t
        WHERE t.reclaimed_below < t.forgotten_below ORDER BY t.number LIMIT 1;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    SELECT array_agg(f.topic) AS topics, array_agg(f.id) AS ids, count(*) AS found,
        max(f.position) AS last INTO keys
        FROM (
            SELECT e.topic, e.id, e.position FROM kilat.events e
                WHERE e.topic = topic.number AND e.position >= topic.reclaimed_below
                    AND e.position < topic.forgotten_below
                ORDER BY e.position LIMIT most
        ) f;
    PERFORM kilat.drop_bodies(keys.topics, keys.ids);
    UPDATE kilat.event_topics t SET reclaimed_below =
        CASE WHEN keys.found < most THEN topic.forgotten_below ELSE keys.last + 1 END
        WHERE t.number = topic.number;
    RETURN true;
END
$$;

CREATE FUNCTION kilat.drop_bodies(topics integer[], ids text[]) RETURNS void LANGUAGE sql AS $$
    UPDATE kilat.events e SET body = NULL FROM unnest(topics, ids) k(topic, id)
        WHERE e.topic = k.topic AND e.id = k.id COLLATE "C" AND e.body IS NOT NULL
$$;
