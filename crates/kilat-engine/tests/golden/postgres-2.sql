SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA kilat;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE kilat.sales (
    number integer NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    terms jsonb NOT NULL,
    per_customer bigint,
    hold_seconds bigint NOT NULL,
    opens_at bigint,
    closes_at bigint,
    switch smallint NOT NULL,
    supply bigint NOT NULL,
    available bigint NOT NULL,
    held bigint DEFAULT 0 NOT NULL,
    sold bigint DEFAULT 0 NOT NULL,
    cancelled bigint DEFAULT 0 NOT NULL,
    expired bigint DEFAULT 0 NOT NULL,
    sequence bigint NOT NULL,
    last_at bigint NOT NULL,
    version xid8 NOT NULL,
    CONSTRAINT balanced CHECK ((((available + held) + sold) = supply)),
    CONSTRAINT never_negative CHECK (((available >= 0) AND (held >= 0) AND (sold >= 0)))
)
WITH (fillfactor='20');
CREATE FUNCTION kilat.change_sale(INOUT sale kilat.sales, change_key text, detail jsonb, now_ms bigint, OUT code smallint) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE
    wanted jsonb := detail -> 'change';
    known  jsonb;
    opens  bigint := sale.opens_at;
    closes bigint := sale.closes_at;
    added  bigint := (wanted ->> 'add_supply')::bigint;
BEGIN
    SELECT c.change INTO known FROM kilat.changes c
        WHERE c.sale = sale.number AND c.key = change_key;
    IF FOUND THEN
        code := CASE WHEN known = wanted THEN 5 ELSE 12 END;
        RETURN;
    END IF;
    IF wanted ? 'opens_at' THEN
        opens := (wanted ->> 'opens_at')::bigint;
    END IF;
    IF wanted ? 'closes_at' THEN
        closes := (wanted ->> 'closes_at')::bigint;
    END IF;
    code := CASE
        WHEN detail ? 'refused' THEN (detail ->> 'refused')::smallint
        WHEN sale.switch = 2 OR coalesce(now_ms >= sale.closes_at, false) THEN 13
        WHEN coalesce(opens >= closes, false) THEN 24
        WHEN sale.supply + added > (detail ->> 'supply_max')::bigint THEN 25
        WHEN (SELECT count(*) FROM kilat.changes c WHERE c.sale = sale.number)
            >= (detail ->> 'changes_max')::bigint THEN 27
        ELSE 4
    END;
    IF code <> 4 THEN
        RETURN;
    END IF;
    sale.opens_at := opens;
    sale.closes_at := closes;
    sale.switch := coalesce((wanted ->> 'state')::smallint, sale.switch);
    sale.supply := sale.supply + added;
    sale.available := sale.available + added;
    sale.sequence := sale.sequence + 1;
    INSERT INTO kilat.changes (sale, key, change) VALUES (sale.number, change_key, wanted);
    INSERT INTO kilat.outbox (sale, sequence, at, kind, key)
        VALUES (sale.number, sale.sequence, now_ms, 1, change_key);
END
$$;
CREATE FUNCTION kilat.clock_ms() RETURNS bigint
    LANGUAGE sql
    AS $$
    SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint
$$;
CREATE FUNCTION kilat.commit(names text[], kinds smallint[], slots integer[], ids uuid[], customers text[], keys text[], quantities bigint[], holds boolean[], details text[], is_apart boolean, expiries_max integer, OUT at bigint, OUT expired integer, OUT next_expiry bigint, OUT codes smallint[], OUT sequences bigint[], OUT r_ids uuid[], OUT r_quantities bigint[], OUT r_statuses smallint[], OUT r_expiries bigint[]) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE
    n       integer := cardinality(kinds);
    mixed   boolean := EXISTS (SELECT FROM unnest(kinds) k WHERE k <> 0);
    numbers integer[];
    s       kilat.sales;
    c       record;
    r       record;
    slot_nr integer;
    before  bigint;
    placed  boolean;
BEGIN
    codes := array_fill(10::smallint, ARRAY[n]);
    sequences := array_fill(NULL::bigint, ARRAY[n]);
    IF mixed THEN
        r_ids := array_fill(NULL::uuid, ARRAY[n]);
        r_quantities := array_fill(NULL::bigint, ARRAY[n]);
        r_statuses := array_fill(NULL::smallint, ARRAY[n]);
        r_expiries := array_fill(NULL::bigint, ARRAY[n]);
    END IF;
    -- Locks are taken in one order everywhere: new sales, then sales by number.
    IF 3 = ANY (kinds) THEN
        PERFORM pg_advisory_xact_lock(7020303, 2);
        FOR c IN SELECT a.ord::integer FROM unnest(kinds) WITH ORDINALITY a(kind, ord)
            WHERE a.kind = 3 ORDER BY a.ord
        LOOP
            codes[c.ord] := kilat.create_sale(details[c.ord]::jsonb, kilat.clock_ms());
        END LOOP;
    END IF;
    SELECT array_agg(locked.number), max(locked.last_at) INTO numbers, at FROM (
        SELECT l.number, l.last_at FROM kilat.sales l
            WHERE l.id = ANY (names) ORDER BY l.number FOR UPDATE
    ) locked;
    at := greatest(at, kilat.clock_ms());
    expired := kilat.expire(numbers, at, expiries_max);
    FOR s IN SELECT * FROM kilat.sales l WHERE l.number = ANY (numbers) ORDER BY l.number LOOP
        slot_nr := array_position(names, s.id);
        before := s.sequence;
        IF mixed THEN
            FOR c IN
                SELECT a.kind, a.id, a.customer, a.key, a.ord::integer
                FROM unnest(kinds, slots, ids, customers, keys)
                    WITH ORDINALITY a(kind, slot, id, customer, key, ord)
                WHERE a.kind IN (1, 2, 4) AND a.slot = slot_nr ORDER BY a.ord
            LOOP
                IF c.kind = 4 THEN
                    SELECT * INTO r FROM kilat.change_sale(s, c.key, details[c.ord]::jsonb, at);
                ELSE
                    SELECT * INTO r FROM kilat.settle(s, c.kind, c.id, c.customer, at);
                    r_ids[c.ord] := c.id;
                    sequences[c.ord] := (r.settled).sequence;
                    r_quantities[c.ord] := (r.settled).quantity;
                    r_statuses[c.ord] := (r.settled).status;
                    r_expiries[c.ord] := (r.settled).expires_at;
                END IF;
                s := r.sale;
                codes[c.ord] := r.code;
            END LOOP;
        END IF;
        placed := false;
        IF is_apart AND (s.available = 0 OR (SELECT sum(q) FROM unnest(quantities) q) <= s.available)
        THEN
            BEGIN
                SELECT * INTO r FROM kilat.place_apart(s, at, ids, customers, keys, quantities, holds);
                placed := true;
            EXCEPTION WHEN unique_violation THEN
                -- An order id that is taken: rare enough to look for it only now.
                placed := false;
            END;
        END IF;
        IF NOT placed AND (NOT mixed OR 0 = ANY (kinds)) THEN
            r_ids := coalesce(r_ids, array_fill(NULL::uuid, ARRAY[n]));
            r_quantities := coalesce(r_quantities, array_fill(NULL::bigint, ARRAY[n]));
            r_statuses := coalesce(r_statuses, array_fill(NULL::smallint, ARRAY[n]));
            r_expiries := coalesce(r_expiries, array_fill(NULL::bigint, ARRAY[n]));
            SELECT * INTO r FROM kilat.place(s, slot_nr, at, kinds, slots, ids, customers, keys,
                quantities, holds, codes, sequences, r_ids, r_quantities, r_statuses, r_expiries);
            placed := true;
        END IF;
        IF placed THEN
            s := r.sale;
            codes := r.codes;
            sequences := r.sequences;
            r_ids := r.r_ids;
            r_quantities := r.r_quantities;
            r_statuses := r.r_statuses;
            r_expiries := r.r_expiries;
        END IF;
        IF s.sequence <> before THEN
            UPDATE kilat.sales l SET opens_at = s.opens_at, closes_at = s.closes_at,
                switch = s.switch, supply = s.supply, available = s.available, held = s.held,
                sold = s.sold, cancelled = s.cancelled, sequence = s.sequence, last_at = at,
                version = pg_current_xact_id() WHERE l.number = s.number;
        END IF;
    END LOOP;
    SELECT min(o.expires_at) - at INTO next_expiry FROM kilat.orders o WHERE o.status = 0;
END
$$;
CREATE FUNCTION kilat.create_sale(detail jsonb, now_ms bigint) RETURNS smallint
    LANGUAGE plpgsql
    AS $$
DECLARE
    wanted jsonb := detail -> 'terms';
    known  jsonb;
    next   integer;
BEGIN
    SELECT s.terms INTO known FROM kilat.sales s WHERE s.id = wanted ->> 'id';
    IF FOUND THEN
        RETURN CASE WHEN known = wanted THEN 3 ELSE 11 END;
    END IF;
    IF detail ? 'refused' THEN
        RETURN (detail ->> 'refused')::smallint;
    END IF;
    SELECT count(*) INTO next FROM kilat.sales;
    IF next >= (detail ->> 'sales_max')::integer THEN
        RETURN 27;
    END IF;
    INSERT INTO kilat.sales (number, id, terms, per_customer, hold_seconds, opens_at, closes_at,
            switch, supply, available, sequence, last_at, version)
        VALUES (next, wanted ->> 'id', wanted, (wanted ->> 'per_customer')::bigint,
            (wanted ->> 'hold_seconds')::bigint, (wanted ->> 'opens_at')::bigint,
            (wanted ->> 'closes_at')::bigint, 0, (wanted ->> 'supply')::bigint,
            (wanted ->> 'supply')::bigint, 1, now_ms, pg_current_xact_id());
    INSERT INTO kilat.outbox (sale, sequence, at, kind) VALUES (next, 1, now_ms, 0);
    RETURN 2;
END
$$;
CREATE FUNCTION kilat.drop_bodies(topics integer[], ids text[]) RETURNS void
    LANGUAGE sql
    AS $$
    UPDATE kilat.events e SET body = NULL FROM unnest(topics, ids) k(topic, id)
        WHERE e.topic = k.topic AND e.id = k.id COLLATE "C" AND e.body IS NOT NULL
$$;
CREATE FUNCTION kilat.expire(numbers integer[], now_ms bigint, most integer) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    done integer;
BEGIN
    PERFORM FROM kilat.orders o
        WHERE o.status = 0 AND o.expires_at <= now_ms AND o.sale = ANY (numbers) LIMIT 1;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    WITH due AS (
        SELECT o.id, o.sale, o.quantity, o.expires_at, o.sequence FROM kilat.orders o
            WHERE o.status = 0 AND o.expires_at <= now_ms AND o.sale = ANY (numbers)
            ORDER BY o.expires_at, o.sequence LIMIT most
    ), ended AS (
        UPDATE kilat.orders o SET status = 3 FROM due WHERE o.id = due.id
    ), numbered AS (
        SELECT due.*, row_number() OVER (PARTITION BY due.sale ORDER BY due.expires_at, due.sequence)
            AS nth FROM due
    ), facts AS (
        INSERT INTO kilat.outbox (sale, sequence, at, kind, order_id)
            SELECT n.sale, s.sequence + n.nth, now_ms, 5, n.id
            FROM numbered n JOIN kilat.sales s ON s.number = n.sale ORDER BY n.sale, n.nth
    ), sums AS (
        SELECT due.sale, sum(due.quantity)::bigint AS units, count(*) AS holds
            FROM due GROUP BY due.sale
    ), counted AS (
        UPDATE kilat.sales s SET available = s.available + sums.units, held = s.held - sums.units,
            expired = s.expired + sums.units, sequence = s.sequence + sums.holds,
            last_at = now_ms, version = pg_current_xact_id()
            FROM sums WHERE s.number = sums.sale
    )
    SELECT count(*) INTO done FROM due;
    RETURN done;
END
$$;
CREATE FUNCTION kilat.expire_due(most integer, OUT at bigint, OUT done integer, OUT numbers integer[], OUT next_expiry bigint) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE
    due record;
BEGIN
    at := kilat.clock_ms();
    done := 0;
    numbers := ARRAY(
        SELECT DISTINCT found.sale FROM (
            SELECT o.sale FROM kilat.orders o
                WHERE o.status = 0 AND o.expires_at <= at ORDER BY o.expires_at LIMIT most
        ) found
    );
    FOR due IN SELECT s.number, s.last_at FROM kilat.sales s
        WHERE s.number = ANY (numbers) ORDER BY s.number FOR UPDATE
    LOOP
        -- Each by its own time: another sale's newest fact may be later.
        done := done + kilat.expire(ARRAY[due.number], greatest(at, due.last_at), most);
    END LOOP;
    SELECT min(o.expires_at) - at INTO next_expiry FROM kilat.orders o WHERE o.status = 0;
END
$$;
CREATE FUNCTION kilat.forget(topic_name text, before_ms bigint) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
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
CREATE FUNCTION kilat.gate(sale kilat.sales, now_ms bigint) RETURNS smallint
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CASE
        WHEN sale.switch = 2 OR coalesce(now_ms >= sale.closes_at, false) THEN 13
        WHEN coalesce(now_ms < sale.opens_at, false) THEN 14
        WHEN sale.switch = 1 THEN 15
        ELSE 0
    END::smallint
$$;
CREATE FUNCTION kilat.place(INOUT sale kilat.sales, slot_nr integer, now_ms bigint, kinds smallint[], slots integer[], ids uuid[], customers text[], keys text[], quantities bigint[], holds boolean[], INOUT codes smallint[], INOUT sequences bigint[], INOUT r_ids uuid[], INOUT r_quantities bigint[], INOUT r_statuses smallint[], INOUT r_expiries bigint[]) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE
    n      integer := cardinality(kinds);
    gate   smallint := kilat.gate(sale, now_ms);
    c      record;
    before bigint := sale.sequence;
    ends   bigint := now_ms + sale.hold_seconds * 1000;
    earlier integer;
    -- By the first command of the batch with the same key, customer or order id: the command that
    -- was given an order, the units given, whether the id is used.
    placed integer[] := array_fill(NULL::integer, ARRAY[n]);
    given  bigint[] := array_fill(0::bigint, ARRAY[n]);
    used   boolean[] := array_fill(false, ARRAY[n]);
BEGIN
    FOR c IN
        SELECT a.ord::integer, a.quantity, a.hold,
            octet_length(a.customer) > 1024 OR octet_length(a.key) > 255 AS too_long,
            min(a.ord) OVER (PARTITION BY a.customer, a.key)::integer AS by_key,
            min(a.ord) OVER (PARTITION BY a.customer)::integer AS by_customer,
            min(a.ord) OVER (PARTITION BY a.id)::integer AS by_id,
            k.id AS k_id, k.quantity AS k_quantity, k.status AS k_status,
            k.expires_at AS k_expires_at, k.sequence AS k_sequence, owned.units, taken.yes AS taken
        FROM unnest(kinds, slots, ids, customers, keys, quantities, holds)
            WITH ORDINALITY a(kind, slot, id, customer, key, quantity, hold, ord)
        -- A limit makes each of these one look into an index, whatever the planner believes.
        LEFT JOIN LATERAL (
            SELECT * FROM kilat.orders k
                WHERE k.sale = sale.number AND k.customer = a.customer AND k.key = a.key LIMIT 1
        ) k ON true
        LEFT JOIN LATERAL (
            SELECT sum(u.quantity)::bigint AS units FROM kilat.orders u
                WHERE gate = 0 AND sale.per_customer IS NOT NULL AND u.sale = sale.number
                AND u.customer = a.customer AND u.status <= 1
        ) owned ON true
        LEFT JOIN LATERAL (
            SELECT true AS yes FROM kilat.orders t
                WHERE gate = 0 AND sale.available > 0 AND t.id = a.id LIMIT 1
        ) taken ON true
        WHERE a.kind = 0 AND a.slot = slot_nr ORDER BY a.ord
    LOOP
        earlier := placed[c.by_key];
        IF c.k_id IS NOT NULL THEN
            IF c.k_quantity = c.quantity AND (c.k_expires_at IS NOT NULL) = c.hold THEN
                codes[c.ord] := 1;
                sequences[c.ord] := c.k_sequence;
                r_ids[c.ord] := c.k_id;
                r_quantities[c.ord] := c.k_quantity;
                r_expiries[c.ord] := c.k_expires_at;
                r_statuses[c.ord] :=
                    CASE WHEN c.k_status = 0 AND now_ms >= c.k_expires_at THEN 3 ELSE c.k_status END;
            ELSE
                codes[c.ord] := 12;
            END IF;
        ELSIF earlier IS NOT NULL THEN
            IF quantities[earlier] = c.quantity AND holds[earlier] = c.hold THEN
                codes[c.ord] := 1;
                sequences[c.ord] := sequences[earlier];
                r_ids[c.ord] := ids[earlier];
                r_quantities[c.ord] := c.quantity;
                r_expiries[c.ord] := CASE WHEN c.hold THEN ends END;
                r_statuses[c.ord] := CASE WHEN NOT c.hold THEN 1 WHEN now_ms >= ends THEN 3 ELSE 0 END;
            ELSE
                codes[c.ord] := 12;
            END IF;
        ELSIF c.too_long THEN
            codes[c.ord] := 26;
        ELSIF c.quantity <= 0 THEN
            codes[c.ord] := 23;
        ELSIF gate <> 0 THEN
            codes[c.ord] := gate;
        ELSIF coalesce(c.units, 0) + given[c.by_customer] + c.quantity > sale.per_customer THEN
            codes[c.ord] := 16;
        ELSIF c.quantity > sale.available THEN
            codes[c.ord] := 17;
        ELSIF c.taken OR used[c.by_id] THEN
            codes[c.ord] := 22;
        ELSE
            codes[c.ord] := 0;
            sale.sequence := sale.sequence + 1;
            sequences[c.ord] := sale.sequence;
            sale.available := sale.available - c.quantity;
            IF c.hold THEN
                sale.held := sale.held + c.quantity;
            ELSE
                sale.sold := sale.sold + c.quantity;
            END IF;
            placed[c.by_key] := c.ord;
            given[c.by_customer] := given[c.by_customer] + c.quantity;
            used[c.by_id] := true;
        END IF;
    END LOOP;
    IF sale.sequence = before THEN
        RETURN;
    END IF;
    INSERT INTO kilat.orders (id, sale, sequence, expires_at, quantity, status, customer, key)
        SELECT a.id, sale.number, a.sequence, CASE WHEN a.hold THEN ends END, a.quantity,
            CASE WHEN a.hold THEN 0 ELSE 1 END, a.customer, a.key
        FROM unnest(kinds, slots, codes, ids, customers, keys, quantities, holds, sequences)
            a(kind, slot, code, id, customer, key, quantity, hold, sequence)
        WHERE a.kind = 0 AND a.slot = slot_nr AND a.code = 0;
    INSERT INTO kilat.outbox (sale, sequence, facts, at, kind)
        VALUES (sale.number, before + 1, sale.sequence - before, now_ms, 2);
END
$$;
CREATE FUNCTION kilat.place_apart(INOUT sale kilat.sales, now_ms bigint, ids uuid[], customers text[], keys text[], quantities bigint[], holds boolean[], OUT codes smallint[], OUT sequences bigint[], OUT r_ids uuid[], OUT r_quantities bigint[], OUT r_statuses smallint[], OUT r_expiries bigint[]) RETURNS record
    LANGUAGE plpgsql
    AS $$
DECLARE
    gate   smallint := kilat.gate(sale, now_ms);
    before bigint := sale.sequence;
    ends   bigint := now_ms + sale.hold_seconds * 1000;
    sums   record;
BEGIN
    WITH asked AS (
        SELECT a.ord, a.id, a.customer, a.key, a.quantity, a.hold, k.id AS k_id,
            k.quantity AS k_quantity, k.status AS k_status, k.expires_at AS k_expires_at,
            k.sequence AS k_sequence,
            CASE
                WHEN k.id IS NOT NULL THEN CASE
                    WHEN k.quantity = a.quantity AND (k.expires_at IS NOT NULL) = a.hold THEN 1
                    ELSE 12
                END
                WHEN octet_length(a.customer) > 1024 OR octet_length(a.key) > 255 THEN 26
                WHEN a.quantity <= 0 THEN 23
                WHEN gate <> 0 THEN gate
                WHEN coalesce(owned.units, 0) + a.quantity > sale.per_customer THEN 16
                WHEN a.quantity > sale.available THEN 17
                ELSE 0
            END::smallint AS code
        FROM unnest(ids, customers, keys, quantities, holds)
            WITH ORDINALITY a(id, customer, key, quantity, hold, ord)
        -- A limit makes each of these one look into an index, whatever the planner believes.
        LEFT JOIN LATERAL (
            SELECT * FROM kilat.orders k
                WHERE k.sale = sale.number AND k.customer = a.customer AND k.key = a.key LIMIT 1
        ) k ON true
        LEFT JOIN LATERAL (
            SELECT sum(u.quantity)::bigint AS units FROM kilat.orders u
                WHERE gate = 0 AND sale.per_customer IS NOT NULL AND u.sale = sale.number
                AND u.customer = a.customer AND u.status <= 1
        ) owned ON true
    ), decided AS MATERIALIZED (
        SELECT d.*, CASE d.code
            WHEN 0 THEN before + count(*) FILTER (WHERE d.code = 0) OVER (ORDER BY d.ord)
            WHEN 1 THEN d.k_sequence
        END AS sequence FROM asked d
    ), placed AS (
        INSERT INTO kilat.orders (id, sale, sequence, expires_at, quantity, status, customer, key)
            SELECT d.id, sale.number, d.sequence, CASE WHEN d.hold THEN ends END, d.quantity,
                CASE WHEN d.hold THEN 0 ELSE 1 END, d.customer, d.key
            FROM decided d WHERE d.code = 0
    )
    SELECT array_agg(d.code) AS codes, array_agg(d.sequence) AS sequences,
        count(*) FILTER (WHERE d.code = 0) AS placed,
        coalesce(sum(d.quantity) FILTER (WHERE d.code = 0 AND d.hold), 0)::bigint AS held,
        coalesce(sum(d.quantity) FILTER (WHERE d.code = 0 AND NOT d.hold), 0)::bigint AS sold,
        coalesce(bool_or(d.code = 1), false) AS again
        INTO sums FROM (SELECT * FROM decided d ORDER BY d.ord) d;
    codes := sums.codes;
    sequences := sums.sequences;
    IF sums.again THEN
        SELECT array_agg(k.id ORDER BY a.ord), array_agg(k.quantity ORDER BY a.ord),
            array_agg(CASE WHEN k.status = 0 AND now_ms >= k.expires_at THEN 3::smallint
                ELSE k.status END ORDER BY a.ord), array_agg(k.expires_at ORDER BY a.ord)
            INTO r_ids, r_quantities, r_statuses, r_expiries
            FROM unnest(customers, keys, codes) WITH ORDINALITY a(customer, key, code, ord)
            LEFT JOIN LATERAL (
                SELECT * FROM kilat.orders k WHERE a.code = 1 AND k.sale = sale.number
                    AND k.customer = a.customer AND k.key = a.key LIMIT 1
            ) k ON true;
    END IF;
    IF sums.placed > 0 THEN
        INSERT INTO kilat.outbox (sale, sequence, facts, at, kind)
            VALUES (sale.number, before + 1, sums.placed, now_ms, 2);
    END IF;
    sale.sequence := before + sums.placed;
    sale.available := sale.available - sums.held - sums.sold;
    sale.held := sale.held + sums.held;
    sale.sold := sale.sold + sums.sold;
END
$$;
CREATE FUNCTION kilat.publish(publisher uuid, its_turn bigint, names text[], slots integer[], ids text[], contents uuid[], bodies bytea[], projected boolean[], firsts integer[], topics_max integer, OUT kinds smallint[], OUT positions bigint[]) RETURNS record
    LANGUAGE plpgsql
    AS $$
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
CREATE FUNCTION kilat.reclaim(most integer) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
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
CREATE TABLE kilat.orders (
    id uuid NOT NULL,
    sale integer NOT NULL,
    sequence bigint NOT NULL,
    expires_at bigint,
    quantity bigint NOT NULL,
    status smallint NOT NULL,
    customer text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C"
);
CREATE FUNCTION kilat.settle(INOUT sale kilat.sales, action smallint, order_id uuid, by_customer text, now_ms bigint, OUT code smallint, OUT settled kilat.orders) RETURNS record
    LANGUAGE plpgsql
    AS $$
BEGIN
    SELECT * INTO settled FROM kilat.orders o WHERE o.id = order_id;
    IF NOT FOUND OR settled.sale <> sale.number OR settled.customer <> by_customer THEN
        code := 18;
        RETURN;
    END IF;
    IF settled.status = 0 AND now_ms >= settled.expires_at THEN
        settled.status := 3;
    END IF;
    code := CASE
        WHEN settled.status = 0 THEN 0
        WHEN settled.status = action THEN 1
        WHEN settled.status = 1 THEN 20
        WHEN settled.status = 2 THEN 21
        ELSE 19
    END;
    IF code <> 0 THEN
        RETURN;
    END IF;
    settled.status := action;
    UPDATE kilat.orders o SET status = action WHERE o.id = order_id;
    sale.held := sale.held - settled.quantity;
    IF action = 1 THEN
        sale.sold := sale.sold + settled.quantity;
    ELSE
        sale.available := sale.available + settled.quantity;
        sale.cancelled := sale.cancelled + settled.quantity;
    END IF;
    sale.sequence := sale.sequence + 1;
    INSERT INTO kilat.outbox (sale, sequence, at, kind, order_id)
        VALUES (sale.number, sale.sequence, now_ms, 2 + action, order_id);
END
$$;
CREATE TABLE kilat.changes (
    sale integer NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    change jsonb NOT NULL
);
CREATE TABLE kilat.event_log (
    one boolean DEFAULT true NOT NULL,
    history uuid DEFAULT gen_random_uuid() NOT NULL,
    next bigint DEFAULT 0 NOT NULL,
    last_at bigint DEFAULT 0 NOT NULL,
    received bigint DEFAULT 0 NOT NULL,
    duplicates bigint DEFAULT 0 NOT NULL,
    conflicts bigint DEFAULT 0 NOT NULL,
    projected bigint DEFAULT 0 NOT NULL,
    topics integer DEFAULT 0 NOT NULL,
    forgotten_below bigint DEFAULT 0 NOT NULL,
    reclaimed_below bigint DEFAULT 0 NOT NULL,
    CONSTRAINT event_log_one_check CHECK (one),
    CONSTRAINT nothing_uncounted CHECK ((next = (((received - duplicates) - conflicts) + projected)))
)
WITH (fillfactor='20');
CREATE TABLE kilat.event_publishers (
    id uuid NOT NULL,
    turn bigint NOT NULL,
    first bigint NOT NULL,
    next bigint NOT NULL,
    seen_at timestamp with time zone NOT NULL
)
WITH (fillfactor='50');
CREATE TABLE kilat.event_topics (
    number integer NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    events bigint DEFAULT 0 NOT NULL,
    forgotten_below bigint DEFAULT 0 NOT NULL,
    reclaimed_below bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='50');
CREATE TABLE kilat.events (
    "position" bigint NOT NULL,
    received_at bigint NOT NULL,
    content uuid NOT NULL,
    topic integer NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    body bytea
)
PARTITION BY HASH (topic, id);
CREATE TABLE kilat.events_0 (
    "position" bigint NOT NULL,
    received_at bigint NOT NULL,
    content uuid NOT NULL,
    topic integer NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    body bytea
);
CREATE TABLE kilat.events_1 (
    "position" bigint NOT NULL,
    received_at bigint NOT NULL,
    content uuid NOT NULL,
    topic integer NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    body bytea
);
CREATE TABLE kilat.events_2 (
    "position" bigint NOT NULL,
    received_at bigint NOT NULL,
    content uuid NOT NULL,
    topic integer NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    body bytea
);
CREATE TABLE kilat.events_3 (
    "position" bigint NOT NULL,
    received_at bigint NOT NULL,
    content uuid NOT NULL,
    topic integer NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    body bytea
);
CREATE TABLE kilat.events_4 (
    "position" bigint NOT NULL,
    received_at bigint NOT NULL,
    content uuid NOT NULL,
    topic integer NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    body bytea
);
CREATE TABLE kilat.events_5 (
    "position" bigint NOT NULL,
    received_at bigint NOT NULL,
    content uuid NOT NULL,
    topic integer NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    body bytea
);
CREATE TABLE kilat.events_6 (
    "position" bigint NOT NULL,
    received_at bigint NOT NULL,
    content uuid NOT NULL,
    topic integer NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    body bytea
);
CREATE TABLE kilat.events_7 (
    "position" bigint NOT NULL,
    received_at bigint NOT NULL,
    content uuid NOT NULL,
    topic integer NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    body bytea
);
CREATE TABLE kilat.migrations (
    version integer NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE kilat.outbox (
    place bigint NOT NULL,
    sequence bigint NOT NULL,
    facts bigint DEFAULT 1 NOT NULL,
    at bigint NOT NULL,
    sale integer NOT NULL,
    kind smallint NOT NULL,
    order_id uuid,
    key text
);
ALTER TABLE kilat.outbox ALTER COLUMN place ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME kilat.outbox_place_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
ALTER TABLE ONLY kilat.events ATTACH PARTITION kilat.events_0 FOR VALUES WITH (modulus 8, remainder 0);
ALTER TABLE ONLY kilat.events ATTACH PARTITION kilat.events_1 FOR VALUES WITH (modulus 8, remainder 1);
ALTER TABLE ONLY kilat.events ATTACH PARTITION kilat.events_2 FOR VALUES WITH (modulus 8, remainder 2);
ALTER TABLE ONLY kilat.events ATTACH PARTITION kilat.events_3 FOR VALUES WITH (modulus 8, remainder 3);
ALTER TABLE ONLY kilat.events ATTACH PARTITION kilat.events_4 FOR VALUES WITH (modulus 8, remainder 4);
ALTER TABLE ONLY kilat.events ATTACH PARTITION kilat.events_5 FOR VALUES WITH (modulus 8, remainder 5);
ALTER TABLE ONLY kilat.events ATTACH PARTITION kilat.events_6 FOR VALUES WITH (modulus 8, remainder 6);
ALTER TABLE ONLY kilat.events ATTACH PARTITION kilat.events_7 FOR VALUES WITH (modulus 8, remainder 7);
INSERT INTO kilat.changes VALUES (0, 'more', '{"add_supply": 5}');
INSERT INTO kilat.changes VALUES (0, 'p', '{"state": 1, "add_supply": 0}');
INSERT INTO kilat.changes VALUES (0, 'o', '{"state": 0, "add_supply": 0}');
INSERT INTO kilat.event_log VALUES (true, '45cb76e0-aa7d-4a59-ae42-a90486d8def6', 0, 0, 0, 0, 0, 0, 0, 0, 0);
INSERT INTO kilat.migrations VALUES (1, '2026-11-22 04:54:52.708904+00');
INSERT INTO kilat.migrations VALUES (2, '2026-11-22 04:54:52.708904+00');
INSERT INTO kilat.orders VALUES ('15ac8063-cc41-7729-59c7-1e44132b7684', 0, 2, NULL, 1, 1, 'c1', 'c1');
INSERT INTO kilat.orders VALUES ('50cc3e23-31c3-c682-5e46-5dc5b953e16a', 0, 3, NULL, 1, 1, 'c2', 'c2');
INSERT INTO kilat.orders VALUES ('056d5cff-8801-727f-018a-c1b980d66e29', 0, 4, NULL, 1, 1, 'c3', 'c3');
INSERT INTO kilat.orders VALUES ('4b6b36b0-9c28-776e-134a-00489dc83b20', 0, 5, NULL, 1, 1, 'c4', 'c4');
INSERT INTO kilat.orders VALUES ('92a9447f-213c-47d0-020c-67afe9c038d5', 0, 6, NULL, 2, 1, 'c1', 'c1b');
INSERT INTO kilat.orders VALUES ('09283fdf-b9fc-e909-3cdd-114540833883', 0, 9, 1795323298159, 1, 0, 'c9', 'c9');
INSERT INTO kilat.orders VALUES ('96613219-bc98-439c-44a1-bc84f17dff0d', 0, 7, 1795323298127, 2, 1, 'c7', 'c7');
INSERT INTO kilat.orders VALUES ('4e6474b6-a0a2-c8f8-5ea3-60eb9670bc10', 0, 8, 1795323298143, 2, 2, 'c8', 'c8');
INSERT INTO kilat.orders VALUES ('e35f4c31-d28a-8413-530c-86020541fe6f', 0, 15, NULL, 1, 1, 'c5', 'c5');
INSERT INTO kilat.orders VALUES ('632ec60b-0a28-64f4-7f8d-ff2bee34bc41', 0, 16, NULL, 1, 1, 'c6', 'c6');
INSERT INTO kilat.outbox OVERRIDING SYSTEM VALUE VALUES (15, 15, 1, 1795323295331, 0, 2, NULL, NULL);
INSERT INTO kilat.outbox OVERRIDING SYSTEM VALUE VALUES (16, 16, 1, 1795323295352, 0, 2, NULL, NULL);
INSERT INTO kilat.sales VALUES (0, 'sale', '{"id": "sale", "sku": "KEPT", "title": "Kept", "supply": 20, "opens_at": null, "closes_at": null, "hold_seconds": 5, "per_customer": 3, "price_amount": "1.50", "price_currency": "USD"}', 3, 5, NULL, NULL, 0, 25, 14, 1, 10, 2, 0, 16, 1795323295352, '754');
SELECT pg_catalog.setval('kilat.outbox_place_seq', 16, true);
ALTER TABLE ONLY kilat.changes
    ADD CONSTRAINT changes_pkey PRIMARY KEY (sale, key);
ALTER TABLE ONLY kilat.event_log
    ADD CONSTRAINT event_log_pkey PRIMARY KEY (one);
ALTER TABLE ONLY kilat.event_publishers
    ADD CONSTRAINT event_publishers_pkey PRIMARY KEY (id);
ALTER TABLE ONLY kilat.event_topics
    ADD CONSTRAINT event_topics_name_key UNIQUE (name);
ALTER TABLE ONLY kilat.event_topics
    ADD CONSTRAINT event_topics_pkey PRIMARY KEY (number);
ALTER TABLE ONLY kilat.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (topic, id);
ALTER TABLE ONLY kilat.events_0
    ADD CONSTRAINT events_0_pkey PRIMARY KEY (topic, id);
ALTER TABLE ONLY kilat.events_1
    ADD CONSTRAINT events_1_pkey PRIMARY KEY (topic, id);
ALTER TABLE ONLY kilat.events_2
    ADD CONSTRAINT events_2_pkey PRIMARY KEY (topic, id);
ALTER TABLE ONLY kilat.events_3
    ADD CONSTRAINT events_3_pkey PRIMARY KEY (topic, id);
ALTER TABLE ONLY kilat.events_4
    ADD CONSTRAINT events_4_pkey PRIMARY KEY (topic, id);
ALTER TABLE ONLY kilat.events_5
    ADD CONSTRAINT events_5_pkey PRIMARY KEY (topic, id);
ALTER TABLE ONLY kilat.events_6
    ADD CONSTRAINT events_6_pkey PRIMARY KEY (topic, id);
ALTER TABLE ONLY kilat.events_7
    ADD CONSTRAINT events_7_pkey PRIMARY KEY (topic, id);
ALTER TABLE ONLY kilat.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (version);
ALTER TABLE ONLY kilat.orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (id);
ALTER TABLE ONLY kilat.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (place);
ALTER TABLE ONLY kilat.sales
    ADD CONSTRAINT sales_id_key UNIQUE (id);
ALTER TABLE ONLY kilat.sales
    ADD CONSTRAINT sales_pkey PRIMARY KEY (number);
CREATE INDEX event_topics_to_reclaim ON kilat.event_topics USING btree (number) WHERE (reclaimed_below < forgotten_below);
CREATE INDEX events_position ON ONLY kilat.events USING btree ("position");
CREATE INDEX events_0_position_idx ON kilat.events_0 USING btree ("position");
CREATE INDEX events_topic ON ONLY kilat.events USING btree (topic, "position");
CREATE INDEX events_0_topic_position_idx ON kilat.events_0 USING btree (topic, "position");
CREATE INDEX events_1_position_idx ON kilat.events_1 USING btree ("position");
CREATE INDEX events_1_topic_position_idx ON kilat.events_1 USING btree (topic, "position");
CREATE INDEX events_2_position_idx ON kilat.events_2 USING btree ("position");
CREATE INDEX events_2_topic_position_idx ON kilat.events_2 USING btree (topic, "position");
CREATE INDEX events_3_position_idx ON kilat.events_3 USING btree ("position");
CREATE INDEX events_3_topic_position_idx ON kilat.events_3 USING btree (topic, "position");
CREATE INDEX events_4_position_idx ON kilat.events_4 USING btree ("position");
CREATE INDEX events_4_topic_position_idx ON kilat.events_4 USING btree (topic, "position");
CREATE INDEX events_5_position_idx ON kilat.events_5 USING btree ("position");
CREATE INDEX events_5_topic_position_idx ON kilat.events_5 USING btree (topic, "position");
CREATE INDEX events_6_position_idx ON kilat.events_6 USING btree ("position");
CREATE INDEX events_6_topic_position_idx ON kilat.events_6 USING btree (topic, "position");
CREATE INDEX events_7_position_idx ON kilat.events_7 USING btree ("position");
CREATE INDEX events_7_topic_position_idx ON kilat.events_7 USING btree (topic, "position");
CREATE INDEX orders_due ON kilat.orders USING btree (expires_at) WHERE (status = 0);
CREATE UNIQUE INDEX orders_key ON kilat.orders USING btree (sale, customer, key);
CREATE INDEX orders_owned ON kilat.orders USING btree (sale, customer) INCLUDE (quantity) WHERE (status <= 1);
CREATE UNIQUE INDEX orders_sequence ON kilat.orders USING btree (sale, sequence);
CREATE INDEX sales_version ON kilat.sales USING btree (version);
ALTER INDEX kilat.events_pkey ATTACH PARTITION kilat.events_0_pkey;
ALTER INDEX kilat.events_position ATTACH PARTITION kilat.events_0_position_idx;
ALTER INDEX kilat.events_topic ATTACH PARTITION kilat.events_0_topic_position_idx;
ALTER INDEX kilat.events_pkey ATTACH PARTITION kilat.events_1_pkey;
ALTER INDEX kilat.events_position ATTACH PARTITION kilat.events_1_position_idx;
ALTER INDEX kilat.events_topic ATTACH PARTITION kilat.events_1_topic_position_idx;
ALTER INDEX kilat.events_pkey ATTACH PARTITION kilat.events_2_pkey;
ALTER INDEX kilat.events_position ATTACH PARTITION kilat.events_2_position_idx;
ALTER INDEX kilat.events_topic ATTACH PARTITION kilat.events_2_topic_position_idx;
ALTER INDEX kilat.events_pkey ATTACH PARTITION kilat.events_3_pkey;
ALTER INDEX kilat.events_position ATTACH PARTITION kilat.events_3_position_idx;
ALTER INDEX kilat.events_topic ATTACH PARTITION kilat.events_3_topic_position_idx;
ALTER INDEX kilat.events_pkey ATTACH PARTITION kilat.events_4_pkey;
ALTER INDEX kilat.events_position ATTACH PARTITION kilat.events_4_position_idx;
ALTER INDEX kilat.events_topic ATTACH PARTITION kilat.events_4_topic_position_idx;
ALTER INDEX kilat.events_pkey ATTACH PARTITION kilat.events_5_pkey;
ALTER INDEX kilat.events_position ATTACH PARTITION kilat.events_5_position_idx;
ALTER INDEX kilat.events_topic ATTACH PARTITION kilat.events_5_topic_position_idx;
ALTER INDEX kilat.events_pkey ATTACH PARTITION kilat.events_6_pkey;
ALTER INDEX kilat.events_position ATTACH PARTITION kilat.events_6_position_idx;
ALTER INDEX kilat.events_topic ATTACH PARTITION kilat.events_6_topic_position_idx;
ALTER INDEX kilat.events_pkey ATTACH PARTITION kilat.events_7_pkey;
ALTER INDEX kilat.events_position ATTACH PARTITION kilat.events_7_position_idx;
ALTER INDEX kilat.events_topic ATTACH PARTITION kilat.events_7_topic_position_idx;
