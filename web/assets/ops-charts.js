// Charts of the operator's pages: ten minutes of samples, in the page's colours, with a table behind each.
(() => {
  "use strict";
  const SAMPLES_MAX = 600;
  const TABLE_ROWS = 30;
  const language = document.documentElement.lang;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const clock = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

  const say = (value) => {
    if (value === null || value === undefined) return "–";
    const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : Math.abs(value) >= 10 ? 1 : 2;
    return value.toLocaleString(language, { maximumFractionDigits: digits });
  };

  class Chart {
    constructor(figure, colours, read, filled) {
      this.figure = figure;
      this.read = read;
      this.filled = filled;
      this.colours = colours;
      this.series = figure.dataset.series.split("|").map((pair) => pair.split("="));
      this.plot = figure.querySelector(".plot");
      this.title = this.plot.getAttribute("aria-label");
      this.table = figure.querySelector("details");
      this.data = [[], ...this.series.map(() => [])];
      this.legend();
      this.draw();
      new ResizeObserver(() => this.chart.setSize(this.size())).observe(this.plot);
      dark.addEventListener("change", () => this.draw());
      this.table.addEventListener("toggle", () => this.fill());
    }

    legend() {
      const list = this.figure.querySelector(".legend");
      this.values = this.series.map(([, label], index) => {
        const item = document.createElement("li");
        const swatch = document.createElement("span");
        swatch.className = `swatch ${this.colours[index]}`;
        const value = document.createElement("b");
        value.textContent = "–";
        item.append(swatch, label, value);
        list.append(item);
        return value;
      });
    }

    size() {
      return { width: Math.max(this.plot.clientWidth, 120), height: this.plot.clientHeight || 200 };
    }

    draw() {
      this.chart?.destroy();
      const axis = { stroke: css("--soft"), font: "11px system-ui, sans-serif", grid: { stroke: css("--line"), width: 1 }, ticks: { show: false } };
      this.chart = new uPlot({
        ...this.size(),
        // The last time under the axis stands half beside it.
        padding: [8, 26, 0, 0],
        cursor: { y: false, points: { size: 6 } },
        legend: { show: false },
        scales: { x: { time: true }, y: { range: (_, min, max) => [0, Math.max(max * 1.08, 1)] } },
        axes: [
          { ...axis, space: 90, size: 32, gap: 9, values: (_, splits) => splits.map((split) => clock.format(split * 1000)) },
          { ...axis, size: (chart, labels, index, cycle) => cycle > 1 ? chart.axes[index]._size : Math.max(52, 14 + 6.5 * Math.max(0, ...(labels ?? []).map((label) => String(label).length))), values: (_, splits) => splits.map(say) },
        ],
        series: [{}, ...this.series.map(([, label], index) => {
          const stroke = css(`--${this.colours[index]}`);
          return { label, stroke, width: 1.75, points: { show: false }, fill: this.filled ? `${stroke}1f` : undefined, spanGaps: true };
        })],
        hooks: { setCursor: [(chart) => this.show(chart.cursor.idx)] },
      }, this.data, this.plot);
    }

    add(samples) {
      for (const sample of samples) {
        const values = this.read(sample, this.series.map(([key]) => key));
        this.data[0].push(sample.at / 1000);
        values.forEach((value, index) => this.data[index + 1].push(value ?? null));
      }
      const over = this.data[0].length - SAMPLES_MAX;
      if (over > 0) this.data.forEach((column) => column.splice(0, over));
      this.chart.setData(this.data);
      this.show(null);
      if (this.table.open) this.fill();
    }

    clear() {
      this.data.forEach((column) => { column.length = 0; });
      this.chart.setData(this.data);
    }

    show(index) {
      const place = index ?? this.data[0].length - 1;
      const said = this.values.map((value, at) => {
        const number = say(this.data[at + 1][place]);
        value.textContent = number;
        return `${this.series[at][1]} ${number}`;
      });
      if (index === null || index === undefined) this.plot.setAttribute("aria-label", `${this.title}: ${said.join(", ")}`);
    }

    fill() {
      const [head, body] = [this.table.querySelector("thead"), this.table.querySelector("tbody")];
      const row = (tag, cells) => {
        const line = document.createElement("tr");
        line.append(...cells.map((text, index) => {
          const cell = document.createElement(tag);
          if (index) cell.className = "num";
          if (tag === "th") cell.scope = "col";
          cell.textContent = text;
          return cell;
        }));
        return line;
      };
      head.replaceChildren(row("th", [document.body.dataset.time, ...this.series.map(([, label]) => label)]));
      const rows = [];
      for (let at = this.data[0].length - 1; at >= 0 && rows.length < TABLE_ROWS; at--) {
        rows.push(row("td", [clock.format(this.data[0][at] * 1000), ...this.series.map((_, index) => say(this.data[index + 1][at]))]));
      }
      body.replaceChildren(...rows);
    }
  }

  window.kilatCharts = { Chart, say, clock };
})();
