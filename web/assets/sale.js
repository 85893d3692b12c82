// Makes the buy page live: stock, state and countdown. The page works without it.
"use strict";

(() => {
  const root = document.getElementById("sale");
  if (!root) return;
  const POLL_MS = 2000;
  const language = document.documentElement.lang;
  const address = `/v1/sales/${root.dataset.sale}`;
  const opens = Number(root.dataset.opens);
  // The visitor's clock may be wrong; the server's is what counts.
  const skew = Number(root.dataset.now) - Date.now();
  const byId = (id) => document.getElementById(id);
  const number = (value) => value.toLocaleString(language);

  function show(stock) {
    byId("available").textContent = number(stock.available);
    byId("supply").textContent = number(stock.supply);
    const level = byId("level");
    level.max = Math.max(stock.supply, 1);
    level.value = stock.available;
    root.dataset.state = stock.state;
    for (const part of root.querySelectorAll("[data-when]")) {
      part.hidden = part.dataset.when !== stock.state;
    }
  }

  function two(value) {
    return String(value).padStart(2, "0");
  }

  function tick() {
    const left = Math.max(0, Math.ceil((opens - skew - Date.now()) / 1000));
    const days = Math.floor(left / 86400);
    const clock = `${two(Math.floor(left / 3600) % 24)}:${two(Math.floor(left / 60) % 60)}:${two(left % 60)}`;
    byId("clock").textContent = days > 0 ? `${days} · ${clock}` : clock;
    byId("countdown").hidden = left === 0;
  }

  async function poll() {
    try {
      const reply = await fetch(address, { headers: { accept: "application/json" } });
      if (reply.ok) show(await reply.json());
    } catch {
      // Offline for a moment; the next round tries again.
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

  if (root.dataset.opens !== "0") {
    const when = byId("opens");
    when.textContent = new Date(opens).toLocaleString(language, { dateStyle: "full", timeStyle: "short" });
    tick();
    setInterval(tick, 1000);
  }
  follow();

  const form = root.querySelector("form");
  form.addEventListener("submit", () => {
    // Another press would send the same key and find the same order; this only says "we are at it".
    setTimeout(() => { form.querySelector("button").disabled = true; }, 0);
  });
  window.addEventListener("pageshow", () => { form.querySelector("button").disabled = false; });
})();
