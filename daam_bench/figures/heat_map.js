"use strict";

// daam_bench.types.heat_map in a browser: upscaling and thresholding a word's heat map with the same weights, and drawing it.
// Pages include it before their own script.
const heatMaps = (() => {
  // {size: [height, width], values: base64 of little-endian float32} to {size, values: Float32Array}.
  function decodeMap(record) {
    const bytes = Uint8Array.from(atob(record.values), (character) => character.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    const values = Float32Array.from({ length: bytes.length / 4 }, (_, index) => view.getFloat32(4 * index, true));
    return { size: record.size, values };
  }

  // Keys's cubic with a = -0.75, borders repeated, pixel centres at halves: four weights a target pixel.
  function resizeWeights(source, target) {
    const a = -0.75;
    const cubic = (x) => {
      if (x <= 1) return (a + 2) * x ** 3 - (a + 3) * x ** 2 + 1;
      return x < 2 ? a * x ** 3 - 5 * a * x ** 2 + 8 * a * x - 4 * a : 0;
    };
    return Array.from({ length: target }, (_, index) => {
      const centre = ((index + 0.5) * source) / target - 0.5;
      const first = Math.floor(centre);
      const weights = new Map();
      for (const offset of [-1, 0, 1, 2]) {
        const column = Math.min(Math.max(first + offset, 0), source - 1);
        weights.set(column, (weights.get(column) ?? 0) + cubic(Math.abs(centre - first - offset)));
      }
      return [...weights].map(([column, weight]) => [column, Math.fround(weight)]);
    });
  }

  function resizeMap(map, [height, width]) {
    const [sourceHeight, sourceWidth] = map.size;
    if (sourceHeight === height && sourceWidth === width) return map.values;
    const tall = new Float32Array(height * sourceWidth);
    resizeWeights(sourceHeight, height).forEach((weights, y) => {
      for (let x = 0; x < sourceWidth; x++) {
        let sum = 0;
        for (const [row, weight] of weights) sum += weight * map.values[row * sourceWidth + x];
        tall[y * sourceWidth + x] = sum;
      }
    });
    const large = new Float32Array(height * width);
    resizeWeights(sourceWidth, width).forEach((weights, x) => {
      for (let y = 0; y < height; y++) {
        let sum = 0;
        for (const [column, weight] of weights) sum += weight * tall[y * sourceWidth + column];
        large[y * width + x] = Math.max(0, sum);
      }
    });
    return large;
  }

  function peakOf(values) {
    let peak = 0;
    for (const value of values) if (value > peak) peak = value;
    return peak;
  }

  // The paper's section 2.2: where the map is at least tau times its maximum; nowhere if it is 0 everywhere.
  function thresholdMap(values, tau) {
    const mask = new Uint8Array(values.length);
    const peak = peakOf(values);
    const level = Math.fround(Math.fround(tau) * peak);
    if (peak > 0) for (let index = 0; index < mask.length; index++) if (values[index] >= level) mask[index] = 1;
    return mask;
  }

  // A mask's outline as an SVG path, as outline_path of daam_bench.figures.outlines gives it: closed
  // loops along pixel edges, true pixels to the right.
  function outlinePath(mask, [height, width]) {
    const steps = [[1, 0], [0, 1], [-1, 0], [0, -1]];
    const ways = new Map();
    const corner = (x, y) => y * (width + 1) + x;
    const add = (x, y, way) => {
      const key = corner(x, y);
      if (!ways.has(key)) ways.set(key, []);
      ways.get(key).push(way);
    };
    for (let y = 0, index = 0; y < height; y++) {
      for (let x = 0; x < width; x++, index++) {
        if (!mask[index]) continue;
        if (y === 0 || !mask[index - width]) add(x, y, 0);
        if (x === width - 1 || !mask[index + 1]) add(x + 1, y, 1);
        if (y === height - 1 || !mask[index + width]) add(x + 1, y + 1, 2);
        if (x === 0 || !mask[index - 1]) add(x, y + 1, 3);
      }
    }
    const parts = [];
    for (const start of [...ways.keys()].sort((a, b) => a - b)) {
      while (ways.has(start)) {
        let [x, y] = [start % (width + 1), Math.floor(start / (width + 1))];
        let way = Math.min(...ways.get(start));
        parts.push(`M${x} ${y}`);
        do {
          const open = ways.get(corner(x, y));
          const turned = [way, (way + 1) % 4, (way + 3) % 4].find((next) => open.includes(next));
          if (turned !== way) parts.push(way % 2 ? `V${y}` : `H${x}`);
          way = turned;
          open.splice(open.indexOf(way), 1);
          if (!open.length) ways.delete(corner(x, y));
          [x, y] = [x + steps[way][0], y + steps[way][1]];
        } while (corner(x, y) !== start);
        parts.push(way % 2 ? "z" : `H${x}z`);
      }
    }
    return parts.join("");
  }

  // Eleven stops of matplotlib's inferno, in between linear.
  const inferno = "000004 160b39 420a68 6a176e 932667 bc3754 dd513a f37819 fca50a f6d746 fcffa4"
    .split(" ")
    .map((stop) => [0, 2, 4].map((place) => parseInt(stop.slice(place, place + 2), 16)));

  function paintMap(canvas, values, [height, width]) {
    canvas.width = width;
    canvas.height = height;
    const peak = peakOf(values) || 1;
    const image = new ImageData(width, height);
    values.forEach((value, index) => {
      const place = (value / peak) * (inferno.length - 1);
      const low = Math.min(Math.floor(place), inferno.length - 2);
      inferno[low].forEach((channel, offset) => {
        image.data[4 * index + offset] = channel + (place - low) * (inferno[low + 1][offset] - channel);
      });
      image.data[4 * index + 3] = 255;
    });
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  return { decodeMap, resizeMap, peakOf, thresholdMap, outlinePath, paintMap };
})();
