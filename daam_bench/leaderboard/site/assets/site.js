"use strict";

// One script for all pages: the theme, the table's order and filters, and the viewer. Pages opened from a disk
// may not fetch, so data come as scripts that call daamBench.receive.
const daamBench = (() => {
  const byId = (id) => document.getElementById(id);

  // ---- Theme ----

  const themeKey = "daam-bench-theme";
  const darkPreferred = matchMedia("(prefers-color-scheme: dark)");

  function storedTheme() {
    try {
      return localStorage.getItem(themeKey);
    } catch {
      return null;
    }
  }

  function applyTheme(theme) {
    document.documentElement.dataset.theme = theme;
    byId("theme")?.setAttribute("aria-pressed", String(theme === "dark"));
  }

  const currentTheme = () => storedTheme() ?? (darkPreferred.matches ? "dark" : "light");

  function startTheme() {
    const button = byId("theme");
    button.hidden = false;
    applyTheme(currentTheme());
    button.addEventListener("click", () => {
      const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
      try {
        localStorage.setItem(themeKey, theme);
      } catch {
        // Without storage the choice holds for this page.
      }
      applyTheme(theme);
    });
    darkPreferred.addEventListener("change", () => applyTheme(currentTheme()));
  }

  // ---- The table ----

  function startTable(table) {
    const headers = [...table.querySelectorAll("th[data-sort]")];
    for (const header of headers) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => {
        const descending = header.hasAttribute("aria-sort")
          ? header.getAttribute("aria-sort") === "ascending"
          : header.dataset.sort === "number";
        for (const other of headers) other.removeAttribute("aria-sort");
        header.setAttribute("aria-sort", descending ? "descending" : "ascending");
        const order = rowOrder(headers.indexOf(header), header.dataset.sort, descending);
        // Each track by itself: its name stays on top, what was not run at the end.
        for (const body of table.tBodies) {
          const rows = [...body.rows];
          const entries = rows.filter((row) => row.dataset.entry).sort(order);
          body.append(...entries, ...rows.filter((row) => row.matches(".not-run")));
        }
      });
    }
    startFilters(byId("filters"), table);
  }

  // A hint where a table goes on beyond its frame.
  function startHints() {
    for (const hint of document.querySelectorAll(".sideways")) {
      const frame = hint.closest(".scroll");
      const show = () => hint.classList.toggle("needed", frame.scrollWidth > frame.clientWidth + 1);
      new ResizeObserver(show).observe(frame);
    }
  }

  // Cells without a value come last in both directions.
  function rowOrder(column, kind, descending) {
    const value = (row) => row.cells[column].dataset.value;
    return (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = kind === "number" ? Number(x) - Number(y) : x.localeCompare(y, "en");
      return descending ? -order : order;
    };
  }

  function startFilters(form, table) {
    const rows = [...table.querySelectorAll("tbody tr:not(.track)")];
    const total = rows.filter((row) => row.dataset.entry).length;
    const apply = () => {
      const wanted = [...new FormData(form)].filter(([, value]) => value.trim() !== "");
      const fits = (row) => ([name, value]) =>
        name === "search"
          ? row.dataset.search.includes(value.trim().toLowerCase())
          : row.dataset[name] === value;
      const entries = new Set();
      let count = 0;
      for (const row of rows) {
        row.hidden = !wanted.every(fits(row));
        if (row.hidden) continue;
        if (!row.dataset.entry) continue;
        entries.add(row.dataset.entry);
        count += 1;
      }
      for (const body of table.tBodies) {
        body.hidden = [...body.rows].every((row) => row.hidden || row.matches(".track"));
      }
      for (const element of document.querySelectorAll(".plots [data-entry], .legend [data-entry]")) {
        element.classList.toggle("filtered", !entries.has(element.dataset.entry));
      }
      byId("shown").textContent = wanted.length ? `${count} of ${total} rows` : "";
    };
    form.hidden = false;
    form.addEventListener("change", apply);
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    apply();
  }

  // ---- Masks, as in daam_bench.types.masks; heat maps come from heat_map.js ----

  const { decodeMap, resizeMap, thresholdMap, outlinePath, paintMap } = heatMaps;

  // COCO's compressed run lengths, column by column, to a mask row by row.
  function decodeMask(counts, [height, width]) {
    const runs = [];
    let place = 0;
    while (place < counts.length) {
      let [value, shift, digit] = [0, 0, 0];
      do {
        digit = counts.charCodeAt(place++) - 48;
        value |= (digit & 31) << shift;
        shift += 5;
      } while (digit & 32);
      if (digit & 16 && shift < 32) value |= -1 << shift;
      runs.push(runs.length > 2 ? value + runs[runs.length - 2] : value);
    }
    const mask = new Uint8Array(height * width);
    let pixel = 0;
    runs.forEach((length, index) => {
      const end = pixel + length;
      for (; pixel < end; pixel++) if (index % 2) mask[(pixel % height) * width + Math.floor(pixel / height)] = 1;
    });
    return mask;
  }

  function iou(a, b) {
    let [both, either] = [0, 0];
    for (let index = 0; index < a.length; index++) {
      both += a[index] & b[index];
      either += a[index] | b[index];
    }
    return either ? both / either : 0;
  }

  // ---- Data ----

  const received = new Map();
  const awaited = new Map();

  const receive = (name, value) => received.set(name, value);

  // The value that data/<name>.js hands over, loaded once.
  function load(name) {
    if (!awaited.has(name)) {
      awaited.set(name, new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = `data/${name}.js`;
        script.addEventListener("load", () => resolve(received.get(name)));
        script.addEventListener("error", () => {
          awaited.delete(name);
          reject(new Error(`data/${name}.js is missing`));
        });
        document.head.append(script);
      }));
    }
    return awaited.get(name);
  }

  // ---- The viewer ----

  function startViewer() {
    const site = JSON.parse(byId("site").textContent);
    const methods = new Map(site.methods.map((method) => [method.slug, method]));
    const slugs = [...methods.keys()];
    let state = null;
    let shown = null;
    let drawing = 0;

    // What the address says, with what it leaves out or gets wrong filled in.
    function readState() {
      const given = new URLSearchParams(location.hash.slice(1));
      const choose = (name, known, fallback) => (known.includes(given.get(name)) ? given.get(name) : fallback);
      const a = choose("a", slugs, slugs[0]);
      const b = choose("b", slugs, slugs.find((slug) => slug !== a) ?? a);
      const taus = methods.get(a).taus;
      const tau = given.get("tau") ? Number(given.get("tau")) : Number(taus[Math.floor((taus.length - 1) / 2)]);
      return {
        split: choose("split", site.splits, site.splits[0]),
        id: given.get("id"),
        noun: Number(given.get("noun")) || 0,
        a,
        b,
        tau: tau >= 0 && tau <= 1 ? tau : 0.4,
        show: choose("show", ["mask", "heat"], "mask"),
      };
    }

    function address() {
      const values = { ...state, tau: String(Number(state.tau.toFixed(4))) };
      return `#${new URLSearchParams(values)}`;
    }

    // Browsers allow few changes of the address a second; the slider makes many.
    let pending = 0;
    function writeAddress() {
      byId("link").href = address();
      clearTimeout(pending);
      pending = setTimeout(() => {
        if (location.hash !== address()) location.replace(address());
      }, 150);
    }

    function change(values) {
      state = { ...state, ...values };
      return draw();
    }

    async function draw() {
      const turn = ++drawing;
      try {
        const data = await gather(state);
        if (turn !== drawing) return;
        shown = data;
        state = { ...state, id: data.example.id, noun: data.noun };
        render(data);
        writeAddress();
      } catch (error) {
        if (turn === drawing) byId("note").textContent = `This view can’t be shown: ${error.message}.`;
      }
    }

    async function gather({ split, id, noun, a, b }) {
      const examples = await load(`${split}/examples`);
      const found = examples.findIndex((example) => example.id === id);
      const index = Math.max(0, found);
      const example = examples[index];
      const chunk = Math.floor(index / site.chunk);
      const place = index % site.chunk;
      const [truth, first, second] = await Promise.all([
        load(`${split}/truth/${chunk}`),
        load(`${split}/methods/${a}/${chunk}`),
        load(`${split}/methods/${b}/${chunk}`),
      ]);
      const within = Math.min(Math.max(0, Math.trunc(noun)), Math.max(0, example.nouns.length - 1));
      const decoded = (counts) => (counts ? decodeMask(counts, example.size) : null);
      const prediction = (slug, data) => {
        const map = data.maps?.[place][within];
        return {
          method: methods.get(slug),
          ran: methods.get(slug).splits.includes(split),
          soft: data.maps !== null,
          heat: map ? resizeMap(decodeMap(map), example.size) : null,
          masks: new Map(Object.entries(data.masks).map(([tau, nouns]) => [tau, nouns[place][within]])),
        };
      };
      return {
        split,
        examples,
        index,
        example,
        noun: within,
        truth: decoded(truth[place][within]),
        a: prediction(a, first),
        b: prediction(b, second),
      };
    }

    // A method's mask at a tau: the submitted one where there is one, else its heat map's, else the submitted
    // mask at the nearest tau.
    function maskAt({ soft, heat, masks }, tau, size) {
      const empty = () => new Uint8Array(size[0] * size[1]);
      const decoded = (counts) => (counts ? decodeMask(counts, size) : empty());
      if (masks.has("none")) return { mask: decoded(masks.get("none")), tau: null };
      const taus = [...masks.keys()].map(Number);
      const nearest = taus.reduce((best, next) => (Math.abs(next - tau) < Math.abs(best - tau) ? next : best));
      if (!soft || Math.abs(nearest - tau) < 1e-9) {
        const counts = [...masks].find(([key]) => Number(key) === nearest)[1];
        return { mask: decoded(counts), tau: nearest };
      }
      return { mask: heat ? thresholdMap(heat, tau) : empty(), tau };
    }

    function render(data) {
      const { example } = data;
      fillExamples(data);
      byId("split").value = data.split;
      byId("prompt-title").textContent = `${data.index + 1} of ${data.examples.length}`;
      renderPrompt(data);
      byId("a").value = state.a;
      byId("b").value = state.b;
      for (const name of ["image", "truth", "a", "b"]) {
        const panel = byId(`panel-${name}`);
        panel.classList.toggle("pixelated", example.pixelated);
        const source = `images/${data.split}/${example.image}`;
        const image = panel.querySelector("img");
        if (image.getAttribute("src") !== source) image.src = source;
        panel.querySelector("svg").setAttribute("viewBox", `0 0 ${example.size[1]} ${example.size[0]}`);
        panel.querySelector(".stage").style.aspectRatio = `${example.size[1]} / ${example.size[0]}`;
      }
      for (const name of ["a", "b"]) {
        const canvas = byId(`panel-${name}`).querySelector("canvas");
        const heat = state.show === "heat" ? data[name].heat : null;
        canvas.hidden = !heat;
        byId(`panel-${name}`).classList.toggle("heated", Boolean(heat));
        if (heat) paintMap(canvas, heat, example.size);
      }
      byId("scale").hidden = state.show !== "heat" || !(data.a.heat || data.b.heat);
      for (const input of document.querySelectorAll("input[name=show]")) {
        input.checked = input.value === state.show;
        input.disabled = input.value === "heat" && !input.checked && !(data.a.soft || data.b.soft);
      }
      renderTruth(data);
      renderPredictions(data);
    }

    function renderTruth({ example, noun, truth }) {
      const text = example.nouns[noun]?.[0] ?? "";
      setPanel("image", null, "", `The image of “${prompt(example)}”`, example);
      const label = truth ? `The ground truth: ${share(truth)} is “${text}”` : `“${text}” is not depicted`;
      setPanel("truth", truth, truth ? `“${text}”` : "not depicted", label, example);
    }

    // All that depends on tau.
    function renderPredictions(data) {
      const { example, noun, truth } = data;
      byId("tau").value = state.tau;
      byId("tau-value").textContent = state.tau.toFixed(2);
      byId("tau").disabled = data.a.masks.has("none") && data.b.masks.has("none");
      const place = `Example ${data.index + 1} of ${data.examples.length}, ${prompt(example)}.`;
      const spoken = [place, `Noun ${example.nouns[noun]?.[0] ?? ""}.`];
      for (const name of ["a", "b"]) {
        const { mask, tau } = maskAt(data[name], state.tau, example.size);
        const at = tau === null || !data[name].ran ? "" : String(Number(tau.toFixed(4)));
        const score = !data[name].ran ? "not run on this split" : truth ? `IoU ${iou(mask, truth).toFixed(2)}` : "not scored";
        const method = data[name].method.name + (at && ` at tau ${at}`);
        setPanel(name, data[name].ran ? mask : null, (at && `τ ${at} · `) + score, `${method}: ${data[name].ran ? `${share(mask)} marked, ` : ""}${score}`, example);
        spoken.push(`${method}: ${score}.`);
      }
      announce(spoken.join(" "));
    }

    function setPanel(name, mask, caption, label, { size }) {
      const panel = byId(`panel-${name}`);
      const path = mask ? outlinePath(mask, size) : "";
      const heated = panel.classList.contains("heated");
      panel.querySelector(".dim").setAttribute("d", mask && !heated ? `M0 0H${size[1]}V${size[0]}H0z${path}` : "");
      for (const outline of panel.querySelectorAll(".outline")) outline.setAttribute("d", path);
      panel.querySelector(".caption").textContent = caption;
      panel.querySelector(".stage").setAttribute("aria-label", label);
    }

    const prompt = (example) => example.prompt.map(([text]) => text).join("");
    function share(mask) {
      let area = 0;
      for (const value of mask) area += value;
      return `${Math.round((100 * area) / mask.length)} % of the image`;
    }

    // Wait for the slider to rest, so that a screen reader isn't told every step.
    let saying = 0;
    function announce(text) {
      clearTimeout(saying);
      saying = setTimeout(() => {
        byId("status").textContent = text;
      }, 400);
    }

    function renderPrompt({ example, noun, truth }) {
      const group = byId("prompt");
      const focused = group.contains(document.activeElement);
      group.replaceChildren(...example.prompt.map(([text, index]) => {
        if (index === null) return text;
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = text;
        button.setAttribute("aria-pressed", String(index === noun));
        button.addEventListener("click", () => change({ noun: index }));
        return button;
      }));
      if (focused) group.querySelector("[aria-pressed=true]")?.focus();
      const isAbsent = !truth && example.nouns.length;
      byId("note").textContent = isAbsent
        ? `The generator did not depict “${example.nouns[noun][0]}”: there is no ground truth, and it is not scored.`
        : "";
    }

    function fillExamples({ split, examples, index }) {
      const select = byId("example");
      if (select.dataset.split !== split) {
        const option = (example, number) => new Option(`${number + 1}  ${prompt(example)}`, number);
        select.replaceChildren(...examples.map(option));
        select.dataset.split = split;
      }
      select.value = index;
    }

    // From the state rather than what is shown: keys may come faster than data.
    function step(by) {
      if (shown?.split !== state.split) return;
      const ids = shown.examples.map((example) => example.id);
      change({ id: ids[(ids.indexOf(state.id) + by + ids.length) % ids.length], noun: 0 });
    }

    function stepNoun(by) {
      const example = shown?.examples.find(({ id }) => id === state.id);
      if (!example?.nouns.length) return;
      change({ noun: (state.noun + by + example.nouns.length) % example.nouns.length });
    }

    byId("split").addEventListener("change", async (event) => {
      // The same place in the other split: there its prompt has other nouns.
      const split = event.target.value;
      const examples = await load(`${split}/examples`);
      change({ split, id: examples[Math.min(shown?.index ?? 0, examples.length - 1)].id });
    });
    byId("example").addEventListener("change", (event) => {
      change({ id: shown.examples[event.target.value].id, noun: 0 });
    });
    for (const name of ["a", "b"]) {
      byId(name).addEventListener("change", (event) => change({ [name]: event.target.value }));
    }
    for (const input of document.querySelectorAll("input[name=show]")) {
      input.addEventListener("change", () => change({ show: input.value }));
    }
    for (const form of document.querySelectorAll("#viewer form")) {
      form.addEventListener("submit", (event) => event.preventDefault());
    }
    byId("previous").addEventListener("click", () => step(-1));
    byId("next").addEventListener("click", () => step(1));
    let frame = 0;
    byId("tau").addEventListener("input", (event) => {
      state.tau = Number(event.target.value);
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(() => shown && renderPredictions(shown));
      writeAddress();
    });
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      if (event.shiftKey) stepNoun(by);
      else step(by);
    });
    addEventListener("hashchange", () => {
      if (location.hash === address()) return;
      state = readState();
      draw();
    });
    byId("viewer").hidden = false;
    state = readState();
    return draw();
  }

  document.documentElement.dataset.theme = currentTheme();
  document.addEventListener("DOMContentLoaded", () => {
    startTheme();
    startHints();
    if (byId("standings")) startTable(byId("standings"));
    if (byId("viewer")) startViewer();
  });

  return { receive, load, decodeMask, decodeMap, resizeMap, thresholdMap, outlinePath, iou };
})();
