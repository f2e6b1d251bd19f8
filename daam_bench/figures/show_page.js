(() => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const [height, width] = data.size;
  const buttons = [...byId("prompt").querySelectorAll("[data-word]")];
  const thumbnails = [...document.querySelectorAll("li[data-word]")];
  const stage = byId("stage");

  // ---- State: the chosen word, the one pointed at for now, the threshold and what is shown ----

  let chosen = buttons.findIndex((button) => button.getAttribute("aria-checked") === "true");
  let pointed = null;
  let tau = data.tau;
  let show = "heat";

  // A word's map at the image's size, upscaled once.
  const maps = new Map();
  function mapOf(word) {
    if (!maps.has(word)) maps.set(word, heatMaps.resizeMap(heatMaps.decodeMap(data.words[word].map), data.size));
    return maps.get(word);
  }

  // ---- Drawing ----

  function draw() {
    const word = pointed ?? chosen;
    drawWord(word);
    drawMask(word);
  }

  let painted = null;
  function drawWord(word) {
    for (const item of [...buttons, ...thumbnails]) {
      item.classList.toggle("seen", Number(item.dataset.word) === word);
    }
    byId("word").textContent = data.words[word].name;
    const canvas = stage.querySelector("canvas");
    canvas.hidden = show !== "heat";
    stage.dataset.show = show;
    if (show === "heat" && painted !== word) {
      heatMaps.paintMap(canvas, mapOf(word), data.size);
      painted = word;
    }
  }

  function drawMask(word) {
    const mask = heatMaps.thresholdMap(mapOf(word), tau);
    const path = show === "image" ? "" : heatMaps.outlinePath(mask, data.size);
    for (const outline of stage.querySelectorAll(".outline")) outline.setAttribute("d", path);
    stage.querySelector(".dim").setAttribute("d", show === "mask" ? `M0 0H${width}V${height}H0z${path}` : "");
    const area = mask.reduce((sum, value) => sum + value, 0);
    const share = `${((100 * area) / mask.length).toFixed(1)} %`;
    byId("covers").textContent = `Its mask covers ${share} of the image.`;
    byId("covers").dataset.pixels = area;
    byId("tau-value").textContent = tau.toFixed(2);
    byId("mark").style.left = `${100 * tau}%`;
    const { name } = data.words[word];
    stage.setAttribute("aria-label", `The image with the map of ${name}; its mask covers ${share}`);
    announce(`${name}: the mask covers ${share} of the image at tau ${tau.toFixed(2)}.`);
  }

  // Wait for the slider to rest, so that a screen reader isn't told every step.
  let saying = 0;
  function announce(text) {
    clearTimeout(saying);
    saying = setTimeout(() => {
      byId("status").textContent = text;
    }, 400);
  }

  // One frame draws whatever has changed since the last.
  let frame = 0;
  function redraw() {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(draw);
  }

  // ---- Words ----

  function choose(word) {
    chosen = word;
    pointed = null;
    for (const [index, button] of buttons.entries()) {
      button.setAttribute("aria-checked", String(index === word));
      button.tabIndex = index === word ? 0 : -1;
    }
    redraw();
  }

  function point(word) {
    pointed = word;
    redraw();
  }

  for (const item of [...buttons, ...thumbnails]) {
    const word = Number(item.dataset.word);
    item.addEventListener("click", () => choose(word));
    item.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && point(word));
    item.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && point(null));
  }
  for (const button of buttons) {
    button.addEventListener("focus", () => choose(Number(button.dataset.word)));
  }
  byId("prompt").addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = buttons.length - 1;
    const targets = {
      ArrowRight: chosen === last ? 0 : chosen + 1,
      ArrowDown: chosen === last ? 0 : chosen + 1,
      ArrowLeft: chosen === 0 ? last : chosen - 1,
      ArrowUp: chosen === 0 ? last : chosen - 1,
      Home: 0,
      End: last,
    };
    if (!(event.key in targets)) return;
    event.preventDefault();
    buttons[targets[event.key]].focus();
  });

  // ---- Threshold, what is shown, theme ----

  byId("tau").addEventListener("input", (event) => {
    tau = Number(event.target.value);
    redraw();
  });
  for (const input of document.querySelectorAll("input[name=show]")) {
    input.addEventListener("change", () => {
      show = input.value;
      redraw();
    });
  }

  const darkPreferred = matchMedia("(prefers-color-scheme: dark)");
  let theme = null;
  const isDark = () => (theme ?? (darkPreferred.matches ? "dark" : "light")) === "dark";
  const sayTheme = () => byId("theme").setAttribute("aria-pressed", String(isDark()));
  byId("theme").addEventListener("click", () => {
    theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    sayTheme();
  });
  darkPreferred.addEventListener("change", sayTheme);

  // ---- Start ----

  const small = Math.min(1, 128 / Math.max(height, width));
  const smallSize = [height, width].map((length) => Math.max(1, Math.round(length * small)));
  for (const item of thumbnails) {
    const map = heatMaps.decodeMap(data.words[Number(item.dataset.word)].map);
    heatMaps.paintMap(item.querySelector("canvas"), heatMaps.resizeMap(map, smallSize), smallSize);
    item.querySelector("img").src = stage.querySelector("img").src;
    item.querySelector(".stage").style.aspectRatio = `${width} / ${height}`;
  }
  stage.style.aspectRatio = `${width} / ${height}`;
  byId("look").style.setProperty("--proportion", width / height);
  for (const id of ["side", "all", "theme"]) byId(id).hidden = false;
  byId("tau").value = tau;
  sayTheme();
  draw();
})();
