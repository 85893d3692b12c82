-- The ledger's tables and rules. Instants are milliseconds since the Unix epoch, as everywhere in
-- Kilat. The rules are those of the pure ledger, in the same order.

CREATE TABLE kilat.sales (
    number       integer PRIMARY KEY,
    id           text COLLATE "C" NOT NULL UNIQUE,
    -- As created; never changes.
    terms        jsonb NOT NULL,
    per_customer bigint,
    hold_seconds bigint NOT NULL,
    -- As it stands.
    opens_at     bigint,
    closes_at    bigint,
    switch       smallint NOT NULL, -- 0 open, 1 paused, 2 closed
    supply       bigint NOT NULL,
    available    bigint NOT NULL,
    held         bigint NOT NULL DEFAULT 0,
    sold         bigint NOT NULL DEFAULT 0,
    cancelled    bigint NOT NULL DEFAULT 0,
    expired      bigint NOT NULL DEFAULT 0,
    sequence     bigint NOT NULL,
    -- The time of the newest fact: time never goes back, whatever the server's clock does.
    last_at      bigint NOT NULL,
    -- The transaction that changed it last, for whoever asks what has changed.
    version      xid8 NOT NULL,
    CONSTRAINT balanced CHECK (available + held + sold = supply),
    CONSTRAINT never_negative CHECK (available >= 0 AND held >= 0 AND sold >= 0)
) WITH (fillfactor = 20);
CREATE INDEX sales_version ON kilat.sales (version);

CREATE TABLE kilat.orders (
    id         uuid PRIMARY KEY,
    sale       integer NOT NULL,
    sequence   bigint NOT NULL,
    -- When its hold ends or would have ended; null if it was bought at once.
    expires_at bigint,
    quantity   bigint NOT NULL,
    status     smallint NOT NULL, -- 0 held, 1 confirmed, 2 cancelled, 3 expired
    customer   text COLLATE "C" NOT NULL,
    key        text COLLATE "C" NOT NULL
);
CREATE UNIQUE INDEX orders_key ON kilat.orders (sale, customer, key);
CREATE UNIQUE INDEX orders_sequence ON kilat.orders (sale, sequence);
-- What a customer has, and no more than the limit allows one.
CREATE INDEX orders_owned ON kilat.orders (sale, customer) INCLUDE (quantity) WHERE status <= 1;
CREATE INDEX orders_due ON kilat.orders (expires_at) WHERE status = 0;

-- Changes of a sale under the keys of those who made them.
CREATE TABLE kilat.changes (
    sale   integer NOT NULL,
    key    text COLLATE "C" NOT NULL,
    change jsonb NOT NULL,
    PRIMARY KEY (sale, key)
);

-- Facts on their way to the event log; each sale's get their place in the order of its sequence,
-- because whoever writes them holds the sale's lock. Orders that were placed together are one row:
-- they are the sale's orders with these sequences, and what is told of them never changes.
CREATE TABLE kilat.outbox (
    place    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sequence bigint NOT NULL,
    facts    bigint NOT NULL DEFAULT 1, -- How many, with the sequences from that one on.
    at       bigint NOT NULL,
    sale     integer NOT NULL,
    kind     smallint NOT NULL, -- 0 created, 1 changed, 2 placed, 3 confirmed, 4 cancelled, 5 expired
    order_id uuid,
    key      text
);

CREATE FUNCTION kilat.clock_ms() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint
$$;

-- Expires up to `most` due holds of sales whose rows are locked.
CREATE FUNCTION kilat.expire(numbers integer[], now_ms bigint, most integer) RETURNS integer
LANGUAGE plpgsql AS $$
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

-- Expires what is due in any sale. Says how many, in which sales, and how long until the next one.
CREATE FUNCTION kilat.expire_due(
    most integer, OUT at bigint, OUT done integer, OUT numbers integer[], OUT next_expiry bigint
) LANGUAGE plpgsql AS $$
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

-- Makes the sales that do not exist yet. Whoever calls it holds the lock for new sales.
CREATE FUNCTION kilat.create_sale(detail jsonb, now_ms bigint) RETURNS smallint
LANGUAGE plpgsql AS $$
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

-- Changes a sale whose row is locked; `sale` comes back as it then stands, unsaved.
CREATE FUNCTION kilat.change_sale(
    INOUT sale kilat.sales, change_key text, detail jsonb, now_ms bigint, OUT code smallint
) LANGUAGE plpgsql AS $$
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

-- Confirms (1) or cancels (2) a hold of a sale whose row is locked; `sale` comes back as it then
-- stands, unsaved, and the order as it stands now.
CREATE FUNCTION kilat.settle(
    INOUT sale kilat.sales, action smallint, order_id uuid, by_customer text, now_ms bigint,
    OUT code smallint, OUT settled kilat.orders
) LANGUAGE plpgsql AS $$
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

-- Why a sale takes no orders, 0 if it does.
CREATE FUNCTION kilat.gate(sale kilat.sales, now_ms bigint) RETURNS smallint
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN sale.switch = 2 OR coalesce(now_ms >= sale.closes_at, false) THEN 13
        WHEN coalesce(now_ms < sale.opens_at, false) THEN 14
        WHEN sale.switch = 1 THEN 15
        ELSE 0
    END::smallint
$$;

-- As kilat.place, for a batch of nothing but orders of this sale, in which nothing depends on what
-- another one gets: no customer or order id is there twice, and either there is enough for all or
-- nothing left. Then all are decided at once. The r_ arrays are null unless an order is there again.
CREATE FUNCTION kilat.place_apart(
    INOUT sale kilat.sales, now_ms bigint, ids uuid[], customers text[], keys text[],
    quantities bigint[], holds boolean[],
    OUT codes smallint[], OUT sequences bigint[], OUT r_ids uuid[], OUT r_quantities bigint[],
    OUT r_statuses smallint[], OUT r_expiries bigint[]
) LANGUAGE plpgsql AS $$
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

-- Decides the orders of a batch for one sale whose row is locked; `sale` comes back as it then
-- stands, unsaved. Fills in the outcomes of its commands, see kilat.commit.
CREATE FUNCTION kilat.place(
    INOUT sale kilat.sales, slot_nr integer, now_ms bigint, kinds smallint[], slots integer[],
    ids uuid[], customers text[], keys text[], quantities bigint[], holds boolean[],
    INOUT codes smallint[], INOUT sequences bigint[], INOUT r_ids uuid[],
    INOUT r_quantities bigint[], INOUT r_statuses smallint[], INOUT r_expiries bigint[]
) LANGUAGE plpgsql AS $$
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

-- Decides a batch. Command n is kinds[n] (0 place, 1 confirm, 2 cancel, 3 create, 4 change) for the
-- sale names[slots[n]]. Outcome n is codes[n]: 0 an order, 1 an order again, 2 a sale made, 3 again,
-- 4 a sale changed, 5 again, from 10 on a refusal. An order that was not just placed stands in the
-- r_ arrays, which are null when there is none. New sales come first, then of each sale its changes and settlements, then its orders,
-- each in their order: all commands of a batch were under way at the same time. `is_apart` says that
-- all are orders of one sale, and no customer and no order id is there twice.
CREATE FUNCTION kilat.commit(
    names text[], kinds smallint[], slots integer[], ids uuid[], customers text[], keys text[],
    quantities bigint[], holds boolean[], details text[], is_apart boolean, expiries_max integer,
    OUT at bigint, OUT expired integer, OUT next_expiry bigint,
    OUT codes smallint[], OUT sequences bigint[], OUT r_ids uuid[], OUT r_quantities bigint[],
    OUT r_statuses smallint[], OUT r_expiries bigint[]
) LANGUAGE plpgsql AS $$
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
