// Live figures of the operator's pages. Everything that changes something is a plain form.
(() => {
  "use strict";
  const page = document.body.dataset;
  const find = (id) => document.getElementById(id);
  const put = (id, text) => { const place = find(id); if (place && place.textContent !== text) place.textContent = text; };

  // A form is sent once; the server knows its key besides.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "yes";
    setTimeout(() => { delete form.dataset.sent; }, 5000);
  });
  // A page that comes back from the cache has forms that were sent.
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  if (!page.stream) return;
  const hasCharts = Boolean(window.kilatCharts);
  const { Chart, say, clock } = window.kilatCharts || {};
  const language = document.documentElement.lang;
  const whole = (value) => Math.round(value).toLocaleString(language);
  const OUTCOMES = ["confirmed", "held", "replayed", "sold_out", "limit_reached"];
  const FAILED = ["overloaded", "storage_full", "internal", "core_unreachable", "outcome_unknown", "shutting_down"];
  const sum = (values) => Object.values(values).reduce((all, value) => all + value, 0);
  const outcomes = (sample) => {
    const all = sample.outcomes;
    const failed = FAILED.reduce((total, code) => total + (all[code] || 0), 0);
    const known = OUTCOMES.reduce((total, code) => total + (all[code] || 0), 0);
    return { confirmed: all.confirmed || 0, held: all.held || 0, replayed: all.replayed || 0, sold_out: all.sold_out || 0,
      limit: all.limit_reached || 0, failed, refused: Math.max(sum(all) - failed - known, 0) };
  };
  let watched = null;
  // The rehearsal whose copy is shown; the choice is free after that.
  let followed = null;
  const stock = (sample, keys) => {
    const one = sample.stock.find((each) => each.sale === watched);
    return keys.map((key) => (one ? one[key] : null));
  };
  const chart = (id, colours, read, filled) => new Chart(find(`chart-${id}`), colours, read, filled);
  const charts = !hasCharts ? {} : {
    rate: chart("rate", ["c1", "c2", "c3", "c4", "c5", "c6", "c7"], (sample, keys) => { const all = outcomes(sample); return keys.map((key) => all[key]); }, true),
    stock: chart("stock", ["c1", "c2", "c5"], stock, true),
    latency: chart("latency", ["c1", "c5", "c7"], (sample) => sample.latency || [null, null, null]),
    queue: chart("queue", ["c2", "c3"], (sample) => [sample.queue, sample.batch]),
    fsync: chart("fsync", ["c1", "c7"], (sample) => sample.fsync || [null, null]),
  };
  let samples = [];
  let console_ = null;

  const millis = (value) => (value === null || value === undefined ? "–" : `${say(value)} ms`);
  const last = (key) => { for (let at = samples.length - 1; at >= Math.max(0, samples.length - 60); at--) if (samples[at][key]) return samples[at][key]; return null; };
  const tiles = (tick) => {
    const now = samples[samples.length - 1];
    if (!now) return;
    put("tile-rate", whole(sum(now.outcomes)));
    put("note-rate", `${page.peak} ${whole(Math.max(...samples.map((sample) => sum(sample.outcomes))))}`);
    const latency = last("latency");
    put("tile-latency", latency ? millis(latency[2]) : "–");
    put("note-latency", latency ? `${page.median} ${millis(latency[0])}` : "");
    put("tile-queue", whole(now.queue));
    const batch = last("batch");
    put("note-queue", batch ? `${page.batch} ${say(batch)}` : "");
    const fsync = last("fsync");
    put("tile-fsync", fsync ? millis(fsync[1]) : "–");
    put("note-fsync", fsync ? `${page.median} ${millis(fsync[0])}` : "");
    put("tile-log", whole(tick.log.unique + tick.log.projected));
    const note = find("note-log");
    note.textContent = `${whole(tick.log.duplicates)} ${note.dataset.duplicates} · ${whole(tick.log.conflicts)} ${note.dataset.conflicts}`;
  };

  const chip = (state, label) => { const span = document.createElement("span"); span.className = `chip ${state}`; span.textContent = label; return span; };
  const cell = (text, kind, tag = "td") => { const one = document.createElement(tag); if (kind) one.className = kind; if (tag === "th") one.scope = "row"; text instanceof Node ? one.append(text) : (one.textContent = text); if (kind === "clip") one.title = text; return one; };
  const rows = (id, lines, columns) => {
    const body = find(id)?.tBodies[0];
    if (!body) return;
    if (!lines.length) { const empty = cell(page.nothing, "empty"); empty.colSpan = columns; lines = [[empty]]; }
    body.replaceChildren(...lines.map((cells) => { const row = document.createElement("tr"); row.append(...cells); return row; }));
  };

  const system = (tick) => {
    const beats = new Map(tick.nodes.map((node) => [node.name, node]));
    const all = tick.processes.map((process) => ({ ...process, beat: beats.get(process.name) }));
    for (const node of tick.nodes) if (!all.some((one) => one.name === node.name)) all.push({ name: node.name, state: node.state, restarts: null, address: "", beat: node });
    rows("nodes", all.map(({ name, state, restarts, address, beat }) => [
      cell(name, "", "th"), cell(chip(state, page[state] || state)),
      cell(beat ? whole(beat.rate) : "–", "num"), cell(beat ? whole(beat.connections) : "–", "num"), cell(beat ? whole(beat.queue) : "–", "num"),
      cell(beat && beat.memory ? `${say(beat.memory / 1048576)} MiB` : "–", "num"), cell(restarts === null ? "–" : whole(restarts), "num"), cell(address, "clip"),
    ]), 8);
    put("tile-nodes", `${all.filter((one) => one.state === "ready").length}`);
    put("note-nodes", `${page.of} ${all.length}`);
  };

  const sales = (tick) => {
    const table = find("sales");
    for (const sale of tick.sales) {
      const row = table?.querySelector(`tr[data-sale="${sale.id}"]`);
      // A sale that the page does not know, or whose buttons are others now.
      if (!row || (row.dataset.state === "paused") !== (sale.state === "paused") || (row.dataset.state === "closed") !== (sale.state === "closed")) return renew("sales-card", "rehearse-sale");
      const place = (name) => row.querySelector(`[data-cell="${name}"]`);
      const set = (name, text) => { const at = place(name); if (at.textContent !== text) at.textContent = text; };
      row.dataset.state = sale.state;
      place("state").className = `chip ${sale.state}`;
      set("state", table.ownerDocument.body.getAttribute(`data-sale-${sale.state}`));
      for (const name of ["available", "held", "sold"]) set(name, whole(sale[name]));
      place("meter").max = sale.supply;
      place("meter").value = sale.available;
    }
    const busiest = tick.sales.find((sale) => sale.state === "open") || tick.sales[0];
    const choice = find("stock-sale");
    if (choice) {
      const ids = tick.sales.filter((sale) => samples.some((sample) => sample.stock.some((one) => one.sale === sale.id))).map((sale) => sale.id);
      if (ids.join() !== choice.dataset.ids) {
        choice.dataset.ids = ids.join();
        choice.replaceChildren(...ids.map((id) => { const option = document.createElement("option"); option.textContent = id; option.selected = id === watched; return option; }));
      }
    }
    const storm = tick.rehearsal?.state === "running" ? tick.rehearsal : null;
    if (storm && storm.id !== followed) {
      followed = storm.id;
      watch(storm.sale);
    } else if (watched === null && busiest) watch(busiest.id);
  };
  const watch = (sale) => {
    watched = sale;
    charts.stock.clear();
    charts.stock.add(samples);
    const choice = find("stock-sale");
    if (choice) choice.value = sale;
  };
  find("stock-sale")?.addEventListener("change", (event) => watch(event.target.value));

  // Some parts are made by the server: when they are old they are fetched again, unless somebody is in them.
  const due = new Set();
  let waiting = null;
  const renew = (...ids) => {
    ids.forEach((id) => due.add(id));
    waiting ??= setTimeout(async () => {
      const wanted = [...due];
      due.clear();
      waiting = null;
      const answer = await fetch(location.pathname, { headers: { accept: "text/html" } }).catch(() => null);
      if (!answer?.ok || answer.redirected) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const id of wanted) {
        const [now, next] = [find(id), fresh.getElementById(id)];
        if (now && next && !now.contains(document.activeElement)) now.replaceWith(next);
      }
    }, 400);
  };
  const runs = (tick) => {
    const old = (id, run) => {
      const place = find(id);
      if (!place || !run) return;
      const code = run.state === "timed_out" ? "failed" : run.state;
      const moved = place.dataset.run !== run.id || place.dataset.state !== code || (place.dataset.rows && place.dataset.rows !== String(run.rows));
      if (moved || run.state === "running") renew(id);
    };
    old("run", tick.rehearsal);
    old("check-result", tick.check);
  };

  const fact = (kind) => document.body.getAttribute(`data-fact-${kind}`) || kind.replace(/_/g, " ");
  const happenings = (tick) => {
    rows("orders", tick.orders.map((one) => [cell(clock.format(one.at)), cell(one.topic.replace(/^sale\./, ""), "clip"), cell(`${fact(one.kind)}${one.quantity > 1 ? ` × ${one.quantity}` : ""}`), cell(one.customer || one.order, "clip")]), 4);
    rows("events", tick.events.map((one) => [cell(clock.format(one.at)), cell(one.topic, "clip"), cell(one.id, "clip")]), 3);
  };

  const link = find("link");
  const tell = (state, text) => { link.className = `chip ${state}`; if (link.textContent !== text) link.textContent = text; };
  let silent = 0;
  const follow = () => {
    const source = new EventSource(page.stream);
    source.addEventListener("tick", (event) => {
      const tick = JSON.parse(event.data);
      if (tick.console !== console_) {
        console_ = tick.console;
        samples = [];
        Object.values(charts).forEach((one) => one.clear());
      }
      const fresh = tick.samples.filter((sample) => !samples.length || sample.number > samples[samples.length - 1].number);
      samples = samples.concat(fresh).slice(-600);
      if (fresh.length) Object.values(charts).forEach((one) => one.add(fresh));
      if (hasCharts) {
        tiles(tick);
        system(tick);
        sales(tick);
        happenings(tick);
      }
      runs(tick);
      put("node", tick.node);
      tick.reached ? tell("live", page.live) : tell("lost", page.unreachable);
      silent = 0;
    });
    source.onerror = () => {
      tell("lost", page.lost);
      // Closed for good: the session is over, or no stream was free.
      if (source.readyState === EventSource.CLOSED) {
        source.close();
        silent += 1;
        setTimeout(silent > 3 ? () => location.reload() : follow, 2000);
      }
    };
  };
  follow();
})();
