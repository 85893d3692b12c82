// Makes the pages of a sale live: stock, state, countdown, and forms that are sent again while nobody
// can answer. The pages work without it.
"use strict";

(() => {
  const POLL_MS = 2000;
  const RETRY_MS_MIN = 1000;
  const RETRY_MS_MAX = 8000;
  const language = document.documentElement.lang;
  const byId = (id) => document.getElementById(id);
  const number = (value) => value.toLocaleString(language);
  const inDays = new Intl.NumberFormat(language, { style: "unit", unit: "day", unitDisplay: "long" });
  const two = (value) => String(value).padStart(2, "0");
  const page = document.querySelector("[data-now]");
  // The visitor's clock may be wrong; the server's is what counts.
  const skew = page ? Number(page.dataset.now) - Date.now() : 0;
  const secondsUntil = (millis) => Math.max(0, Math.ceil((millis - skew - Date.now()) / 1000));

  function clock(left) {
    const days = Math.floor(left / 86400);
    const hours = Math.floor(left / 3600) % 24;
    const minutes = `${two(Math.floor(left / 60) % 60)}:${two(left % 60)}`;
    if (days > 0) return `${inDays.format(days)} ${two(hours)}:${minutes}`;
    return left >= 3600 ? `${two(hours)}:${minutes}` : minutes;
  }

  // Moments in the reader's own time, which is named: the reader may not know it.
  const inZone = new Intl.DateTimeFormat(language, {
    day: "numeric", month: "long", year: "numeric", hour: "numeric", minute: "2-digit", timeZoneName: "short",
  });
  function localize(time) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.getTime())) {
      time.textContent = inZone.format(moment);
    }
  }
  document.querySelectorAll("time[datetime]").forEach(localize);

  function everySecond(show) {
    show();
    setInterval(show, 1000);
  }

  // Holds: the time left, and a fresh page when it is up.
  for (const left of document.querySelectorAll(".left")) {
    const until = Number(left.dataset.until);
    left.parentElement.hidden = false;
    let reloading = false;
    everySecond(() => {
      const seconds = secondsUntil(until);
      left.textContent = clock(seconds);
      if (seconds === 0 && !reloading) {
        reloading = true;
        setTimeout(() => location.reload(), RETRY_MS_MIN);
      }
    });
  }

  // Some browsers keep what a script did to a button over a reload.
  for (const button of document.querySelectorAll("button")) button.disabled = false;

  // A page that the browser kept shows what was; ask for what is.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });

  // Forms: the same form again and again, with the same key, until somebody answers.
  const busy = byId("busy");
  let pressAgain = () => {};
  if (busy) byId("again").addEventListener("click", () => pressAgain());

  function pause(millis) {
    return new Promise((done) => {
      const timer = setTimeout(done, millis);
      pressAgain = () => {
        clearTimeout(timer);
        done();
      };
    });
  }

  // Where to go next, or nothing when it is worth trying again.
  async function attempt(address, fields) {
    try {
      const reply = await fetch(address, { method: "POST", headers: { accept: "application/json" }, body: fields });
      if (reply.ok) return { location: (await reply.json()).location };
      if ([429, 502, 503, 504].includes(reply.status)) return null;
      return {};
    } catch {
      return null;
    }
  }

  async function send(form, fields, submitter) {
    const buttons = document.querySelectorAll("main form button");
    for (const button of buttons) button.disabled = true;
    for (let wait = RETRY_MS_MIN; ; wait = Math.min(2 * wait, RETRY_MS_MAX)) {
      const next = await attempt(form.action, fields);
      if (next) {
        for (const button of buttons) button.disabled = false;
        if (next.location) location.assign(next.location);
        // The server has more to say than a script can show: let the browser show it.
        else if (submitter) form.requestSubmit(submitter);
        else form.submit();
        return;
      }
      if (form.dataset.wait) form.hidden = true;
      busy.hidden = false;
      // Not all at once when the server is back.
      await pause(wait * (0.5 + Math.random()));
    }
  }

  for (const form of busy ? document.querySelectorAll("form[method=post]") : []) {
    let sent = false;
    form.addEventListener("submit", (event) => {
      if (sent) return;
      sent = true;
      event.preventDefault();
      const fields = new URLSearchParams(new FormData(form, event.submitter));
      send(form, fields, event.submitter);
    });
  }

  const retry = byId("retry");
  if (retry) {
    setTimeout(() => {
      if (retry.method === "post") retry.requestSubmit();
      else location.reload();
    }, 1000 * Number(retry.dataset.wait));
  }

  // The sale: stock and state as they change.
  const sale = byId("sale");
  if (!sale) return;
  const address = `/v1/sales/${sale.dataset.sale}`;

  let opens = Number(sale.dataset.opens);
  function count() {
    const left = secondsUntil(opens);
    byId("clock").textContent = clock(left);
    byId("countdown").hidden = left === 0;
  }

  // The operator may move the opening while the page is open.
  function reschedule(at) {
    opens = at ? Date.parse(at) : 0;
    byId("opens").dateTime = at ?? "";
    localize(byId("opens"));
    count();
  }

  function show(stock) {
    byId("offline").hidden = true;
    if ((stock.opens_at ? Date.parse(stock.opens_at) : 0) !== opens) reschedule(stock.opens_at);
    byId("available").textContent = number(stock.available);
    byId("supply").textContent = number(stock.supply);
    const level = byId("level");
    level.max = Math.max(stock.supply, 1);
    level.value = stock.available;
    sale.dataset.state = stock.state;
    const shown = stock.state === "sold_out" && stock.held > 0 ? "all_held" : stock.state;
    for (const part of sale.querySelectorAll("[data-when]")) {
      part.hidden = part.dataset.when !== shown;
    }
  }

  async function poll() {
    try {
      const reply = await fetch(address, { headers: { accept: "application/json" } });
      if (reply.ok) show(await reply.json());
      else byId("offline").hidden = false;
    } catch {
      byId("offline").hidden = false;
    }
  }

  let polling = 0;
  function follow() {
    if (!window.EventSource) {
      polling = setInterval(poll, POLL_MS);
      return;
    }
    const source = new EventSource(`${address}/stream`);
    source.addEventListener("stock", (event) => {
      clearInterval(polling);
      polling = 0;
      show(JSON.parse(event.data));
    });
    source.addEventListener("error", () => {
      if (!polling) polling = setInterval(poll, POLL_MS);
      // A refused stream is not tried again by the browser.
      if (source.readyState === EventSource.CLOSED) setTimeout(follow, 5 * POLL_MS);
    });
  }

  everySecond(count);
  follow();
})();
