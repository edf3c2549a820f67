(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const rows = data.predictions;
  const element = (id) => document.getElementById(id);
  const cells = [...document.querySelectorAll(".cell")];
  const selected = new Set(); // atomic numbers
  const dark = matchMedia("screen and (prefers-color-scheme: dark)");

  // ---- words and numbers ----
  const withUnit = (text) => (data.unit ? `${text} ${data.unit}` : text);
  const fixed = (value) => value.toFixed(rows.decimals);
  const count = (number) => number.toLocaleString("en");
  const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;
  // Plotly reads its texts as a kind of HTML.
  const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const modeText = (mode) => `mode ${mode + 1}`;
  const named = (quantity) => plain(data.unit ? `${quantity} (${data.unit})` : quantity);

  // ---- rows ----
  const all = rows ? rows.true.map((_, i) => i) : [];
  const errorOf = (i) => rows.predicted[i] - rows.true[i];

  function matching() {
    const asked = [...selected];
    if (!asked.length) return all;
    return all.filter((i) => {
      const contained = rows.elements[rows.formula[i]];
      if (!asked.every((z) => contained.includes(z))) return false;
      if (!rows.held_out) return true;
      const heldOut = rows.held_out.elements[rows.held_out.which[i]];
      return asked.some((z) => heldOut.includes(z));
    });
  }

  // The worst rows and a reproducible random sample of the others.
  function sample(found) {
    const { drawn, worst } = data.limits;
    if (found.length <= drawn) return found;
    const others = found.slice(worst);
    let state = 1;
    for (let i = 0; i < drawn - worst; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const j = i + Math.floor((state / 2 ** 32) * (others.length - i));
      [others[i], others[j]] = [others[j], others[i]];
    }
    return found.slice(0, worst).concat(others.slice(0, drawn - worst));
  }

  function describe(i) {
    const lines = [
      `<b>${plain(rows.formulas[rows.formula[i]])}</b>`,
      `true ${fixed(rows.true[i])}`,
      `predicted ${fixed(rows.predicted[i])}`,
      `error ${fixed(errorOf(i))}`,
    ];
    if (rows.std) lines.push(`std ${fixed(rows.std[i])}`);
    if (rows.row) lines.push(`row ${rows.row[i]}`);
    if (rows.held_out) lines.push(`held out: ${rows.held_out.names[rows.held_out.which[i]]}`);
    return lines.join("<br>");
  }

  // ---- charts ----
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const config = { responsive: true, displaylogo: false, modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]] };
  const scale = data.colours.map((shade, i) => [i / (data.colours.length - 1), shade]);

  function layout(x, y, extra) {
    const axis = (text) => ({
      title: { text, standoff: 6 },
      gridcolor: colour("--line"),
      zerolinecolor: colour("--line"),
      automargin: true,
    });
    return {
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("--ink") },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 50, r: 12, t: 30, b: 44 },
      hovermode: "closest",
      hoverlabel: { align: "left" },
      showlegend: false,
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--faint"), activecolor: colour("--ink") },
      ...extra,
      xaxis: { ...axis(x), ...extra.xaxis },
      yaxis: { ...axis(y), ...extra.yaxis },
    };
  }

  function range(values) {
    let low = Infinity, high = -Infinity;
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    return [low, high];
  }

  const quantile = (values, share) =>
    [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(share * values.length))];

  const ends = rows && range(rows.true.concat(rows.predicted));
  const margin = rows && ((ends[1] - ends[0]) * 0.04 || 1);

  function drawParity(found) {
    const drawn = sample(found).slice().reverse(); // the worst on top
    const marker = { size: 6, opacity: 0.8, color: colour("--accent"), line: { width: 0.5, color: colour("--faint") } };
    if (rows.std) {
      Object.assign(marker, {
        color: drawn.map((i) => rows.std[i]),
        colorscale: scale,
        cmin: Math.min(...range(rows.std)),
        cmax: quantile(rows.std, 0.99) || 1, // one outlier must not take all colours
        colorbar: {
          title: { text: named("std"), side: "top" }, orientation: "h", thickness: 10, len: 0.6,
          x: 0, y: 1, yanchor: "bottom", xanchor: "left", tickfont: { size: 10 }, nticks: 4, ypad: 2,
        },
      });
    }
    const limits = [ends[0] - margin, ends[1] + margin];
    const traces = [
      { x: limits, y: limits, mode: "lines", line: { color: colour("--faint"), width: 1 }, hoverinfo: "skip" },
      {
        x: drawn.map((i) => rows.predicted[i]),
        y: drawn.map((i) => rows.true[i]),
        hovertext: drawn.map(describe),
        hoverinfo: "text",
        mode: "markers",
        marker,
      },
    ];
    Plotly.react("parity", traces, layout(named(`predicted ${data.target}`), named(`true ${data.target}`), {
      uirevision: "rows", // zoom survives a change of the filter
      margin: { l: 50, r: 12, t: rows.std ? 64 : 30, b: 44 },
      xaxis: { range: limits, constrain: "domain" },
      yaxis: { range: limits, scaleanchor: "x", constrain: "domain" },
    }), config);
    const others = data.limits.drawn - data.limits.worst;
    element("sample").textContent = drawn.length === found.length ? "" :
      `The plot shows the ${count(data.limits.worst)} worst of ${count(found.length)} rows and ` +
      `${count(others)} of the others, drawn at random; filters use all rows.`;
  }

  const known = cells.map((_, i) => i + 1).filter((z) => data.modes[z - 1]);
  const modeOf = (mode) => (z) => data.modes[z - 1][mode];

  const axes = () => [element("across"), element("up")].map((select) => Number(select.value));

  function markedPoints() {
    const marked = known.filter((z) => selected.has(z));
    const [x, y] = axes().map((mode) => [marked.map(modeOf(mode))]);
    return { x, y };
  }

  function drawMap() {
    const [across, up] = axes();
    const traces = ["s", "p", "d", "f"].map((block) => {
      const members = known.filter((z) => data.blocks[z - 1] === block);
      return {
        name: `${block} block`,
        x: members.map(modeOf(across)),
        y: members.map(modeOf(up)),
        hovertext: members.map((z) => describeElement(z, true).replace(/\n/g, "<br>")),
        hoverinfo: "text",
        customdata: members,
        text: members.map(() => " "),
        mode: "markers+text",
        cliponaxis: false,
        marker: { size: 7, color: colour(`--${block}`) },
        textfont: { size: 11, color: colour(`--${block}`) },
      };
    });
    const marked = markedPoints();
    traces.push({
      x: marked.x[0], y: marked.y[0], mode: "markers", hoverinfo: "skip", showlegend: false,
      marker: { size: 15, symbol: "circle-open", color: colour("--ink"), line: { width: 2 } },
    });
    const chart = element("map");
    const drawing = Plotly.react(chart, traces, layout(modeText(across), modeText(up), {
      uirevision: `${across} ${up}`,
      showlegend: true,
      legend: { orientation: "h", x: 0, y: -0.14, yanchor: "top" },
    }), config);
    drawing.then(() => placeLabels(chart));
  }

  // Each label on a free side of its point; points without a free side have no label.
  // (That is a blank: Plotly removes the node of an empty text and does not restore it.)
  function placeLabels(chart) {
    const area = chart.querySelector(".nsewdrag").getBoundingClientRect();
    const place = (axis, length) => (value) => ((value - axis.range[0]) / (axis.range[1] - axis.range[0])) * length;
    const across = place(chart.layout.xaxis, area.width), up = place(chart.layout.yaxis, area.height);
    const blocks = chart.data.slice(0, 4);
    const points = blocks.flatMap((trace, t) => trace.customdata.map((z, i) => (
      { t, i, symbol: data.symbols[z - 1], x: across(trace.x[i]), y: up(trace.y[i]) }
    )));
    const overlap = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
    const taken = points.map((p) => [p.x - 4, p.y - 4, p.x + 4, p.y + 4]);
    const texts = blocks.map((trace) => trace.customdata.map(() => " "));
    const sides = blocks.map((trace) => trace.customdata.map(() => "top center"));
    for (const p of points) {
      const width = 8 * p.symbol.length, height = 12;
      const boxes = {
        "top center": [p.x - width / 2, p.y + 5, p.x + width / 2, p.y + 5 + height],
        "middle right": [p.x + 5, p.y - height / 2, p.x + 5 + width, p.y + height / 2],
        "bottom center": [p.x - width / 2, p.y - 5 - height, p.x + width / 2, p.y - 5],
        "middle left": [p.x - 5 - width, p.y - height / 2, p.x - 5, p.y + height / 2],
      };
      const free = Object.entries(boxes).find(([, box]) => !taken.some((other) => overlap(box, other)));
      if (!free) continue;
      [sides[p.t][p.i]] = free;
      texts[p.t][p.i] = p.symbol;
      taken.push(free[1]);
    }
    Plotly.restyle(chart, { text: texts, textposition: sides }, [0, 1, 2, 3]);
  }

  // ---- the table of the worst rows ----
  function listWorst(found) {
    const body = document.querySelector("#worst tbody");
    body.replaceChildren(...found.slice(0, data.limits.listed).map((i) => {
      const values = [rows.formulas[rows.formula[i]]];
      if (rows.row) values.push(rows.row[i]);
      if (rows.held_out) values.push(rows.held_out.names[rows.held_out.which[i]]);
      values.push(fixed(rows.true[i]), fixed(rows.predicted[i]), fixed(errorOf(i)));
      if (rows.std) values.push(fixed(rows.std[i]));
      const line = document.createElement("tr");
      for (const value of values) line.insertCell().textContent = value;
      return line;
    }));
  }

  // ---- the periodic table ----
  function describeElement(z, everyMode) {
    const lines = [`${data.symbols[z - 1]} ${data.names[z - 1]}, Z = ${z}`];
    if (rows) {
      lines.push(rows.counts[z - 1]
        ? `${withUnit(`MAE ${fixed(rows.mae[z - 1])}`)}\n${plural(rows.counts[z - 1], "row")}${rows.held_out ? " held out" : ""}`
        : "no rows");
    }
    const modes = data.modes[z - 1];
    const chosen = element("quantity").value;
    if (!modes) lines.push("no modes");
    else if (everyMode) lines.push(...modes.map((value, mode) => `${modeText(mode)}: ${value.toFixed(2)}`));
    else if (chosen !== "error") lines.push(`${modeText(Number(chosen))}: ${modes[chosen].toFixed(2)}`);
    return (everyMode ? plain(lines.join("\n")) : lines.join("\n"));
  }

  const usable = (z) => (rows ? rows.counts[z - 1] > 0 : data.modes[z - 1] !== null);

  function shade(share) {
    const at = Math.min(Math.max(share, 0), 1) * (data.colours.length - 1);
    const low = Math.min(Math.floor(at), data.colours.length - 2);
    const [from, to] = [low, low + 1].map((i) => [1, 3, 5].map((k) => parseInt(data.colours[i].slice(k, k + 2), 16)));
    return from.map((part, k) => Math.round(part + (to[k] - part) * (at - low)));
  }

  // Black or white, whichever stands out more (relative luminance of WCAG).
  function inkOn(parts) {
    const [r, g, b] = parts.map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
  }

  function colourCells() {
    const chosen = element("quantity").value;
    const isError = chosen === "error";
    const valueOf = (z) => (isError ? rows.mae[z - 1] : data.modes[z - 1] && data.modes[z - 1][chosen]);
    const values = cells.map((_, i) => valueOf(i + 1)).filter((value) => value !== null);
    let [low, high] = range(values);
    const most = quantile(values, 0.95);
    const cut = isError && high > 1.5 * most; // a few elements must not take all colours
    if (cut) high = most;
    const text = (value) => (isError ? fixed(value) : value.toFixed(2));
    for (const cell of cells) {
      const z = Number(cell.dataset.z), value = valueOf(z);
      const parts = value === null ? null : shade((value - low) / (high - low || 1));
      cell.style.background = parts ? `rgb(${parts})` : "";
      cell.style.color = parts ? inkOn(parts) : "";
      cell.querySelector("span").textContent = value === null ? "" : Number(value.toPrecision(2)).toString();
      cell.setAttribute("aria-label", describeElement(z).replace(/\n/g, ", "));
      cell.setAttribute("aria-disabled", String(!usable(z)));
    }
    element("low").textContent = text(low);
    const top = (cut ? "≥ " : "") + text(high);
    element("high").textContent = isError ? withUnit(top) : top;
    document.querySelector("#bar i").style.background = `linear-gradient(to right, ${data.colours})`;
  }

  function showTip(cell) {
    const tip = element("tip");
    tip.textContent = describeElement(Number(cell.dataset.z));
    tip.hidden = false;
    const box = cell.getBoundingClientRect(), width = tip.offsetWidth, height = tip.offsetHeight;
    const left = Math.min(Math.max(box.left + box.width / 2 - width / 2, 4), innerWidth - width - 4);
    tip.style.left = `${left}px`;
    tip.style.top = `${box.top > height + 10 ? box.top - height - 6 : box.bottom + 6}px`;
  }
  const hideTip = () => { element("tip").hidden = true; };

  function focusCell(cell) {
    for (const other of cells) other.tabIndex = other === cell ? 0 : -1;
  }

  function move(cell, key) {
    const [row, column] = data.places[cell.dataset.z - 1];
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    const step = steps[key];
    if (!step) return false;
    for (let n = 1; n <= 18; n++) {
      const at = data.places.findIndex(([r, c]) => r === row + n * step[0] && c === column + n * step[1]);
      if (at < 0) continue;
      cells[at].focus();
      break;
    }
    return true;
  }

  // ---- the filter ----
  function update() {
    for (const cell of cells) cell.setAttribute("aria-pressed", String(selected.has(Number(cell.dataset.z))));
    const symbols = [...selected].map((z) => data.symbols[z - 1]).join(" and ");
    element("clear").hidden = !selected.size;
    Plotly.restyle("map", markedPoints(), [4]);
    if (!rows) {
      element("status").textContent = selected.size ? `Marked in the map: ${symbols}.` : "";
      return;
    }
    const found = matching();
    const mean = found.reduce((sum, i) => sum + Math.abs(errorOf(i)), 0) / found.length;
    const error = found.length ? `, ${withUnit(`MAE ${fixed(mean)}`)}` : "";
    element("status").textContent = selected.size
      ? `${count(found.length)} of ${plural(all.length, "row")} with ${symbols}${error}.`
      : `All ${plural(all.length, "row")}${error}.`;
    drawParity(found);
    listWorst(found);
  }

  function clear() {
    hideTip();
    if (!selected.size) return;
    selected.clear();
    update();
  }

  for (const cell of cells) {
    cell.addEventListener("click", () => {
      const z = Number(cell.dataset.z);
      if (!usable(z)) return;
      if (!selected.delete(z)) selected.add(z);
      update();
    });
    cell.addEventListener("mouseenter", () => showTip(cell));
    cell.addEventListener("mouseleave", hideTip);
    cell.addEventListener("focus", () => { focusCell(cell); showTip(cell); });
    cell.addEventListener("blur", hideTip);
    cell.addEventListener("keydown", (event) => { if (move(cell, event.key)) event.preventDefault(); });
  }
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") clear(); });
  addEventListener("scroll", hideTip, { passive: true });
  element("clear").addEventListener("click", clear);
  element("quantity").addEventListener("change", colourCells);
  element("across").addEventListener("change", drawMap);
  element("up").addEventListener("change", drawMap);
  dark.addEventListener("change", () => { drawMap(); update(); });

  // Paper is narrower than the window.
  const charts = [...document.querySelectorAll(".chart")];
  addEventListener("beforeprint", () => charts.forEach((chart) => Plotly.relayout(chart, { width: 640 })));
  addEventListener("afterprint", () => charts.forEach((chart) => Plotly.relayout(chart, { width: null, autosize: true })));

  focusCell(cells.find((cell) => usable(Number(cell.dataset.z))));
  colourCells();
  drawMap();
  update();
  element("map").on("plotly_relayout", () => placeLabels(element("map")));
})();
