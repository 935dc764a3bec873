"""The script of the interactive page, run by BokehJS on each choice of the reader.

It gets ``meta`` (JSON text), ``values`` (float32: source, measure, event, component, station),
``waves`` (packed envelopes) and the models of the page; texts from data go through ``esc``.
"""

UPDATE = r"""
const about = JSON.parse(meta)
const {events, stations, components, measures, sources, ladders, trace_ladders} = about
const [E, S, C, M] = [events.length, stations.length, components.length, measures.length]
const esc = (text) => String(text).replace(/[&<>"'`$\\]/g, (c) => `&#${c.charCodeAt(0)};`)
const number = (x, digits = 4) => {
  if (!Number.isFinite(x)) return "–"
  const rounded = Number(x.toPrecision(digits))
  const size = Math.abs(rounded)
  return size !== 0 && (size < 1e-4 || size >= 1e6) ? rounded.toExponential() : String(rounded)
}
const value = (source, measure, event, component, station) =>
  values[(((source * M + measure) * E + event) * C + component) * S + station]
const unit = (table, units, largest) => {
  const ladder = table[units]
  if (ladder === undefined) return [units === "1" ? "" : units, 1]
  return ladder.find(([, , least]) => largest > 0 && largest >= least) ?? ladder[0]
}
const range = (n) => [...Array(n).keys()]
const is_level = (source) => /^(observed|synthetic)/.test(sources[source].path)

const e = Number(event_select.value)
const k = Number(source_select.value)
const m = Number(measure_select.value)
const c = Number(component_select.value)
const all = range(S)

// The unit of a measure is that of the recorded and simulated values, also for differences.
const unit_of = (source, measure) => {
  const units = sources[source].units[measure]
  let largest = 0
  for (const other of range(sources.length)) {
    if (sources[other].units[measure] !== units || (units !== "1" && !is_level(other))) continue
    for (const s of all) {
      const size = Math.abs(value(other, measure, e, c, s))
      if (size > largest) largest = size
    }
  }
  return unit(ladders, units, largest)
}
const units = range(M).map((measure) => unit_of(k, measure))
const [label, factor] = units[m]
const shown = all.map((s) => value(k, m, e, c, s) * factor)

// Limits: observed and synthetic share them; differences are centred at zero.
let low, high
const logarithmic = is_level(k)
if (logarithmic) {
  const both = range(sources.length).filter(is_level)
    .flatMap((other) => all.map((s) => value(other, m, e, c, s) * factor)).filter((x) => x > 0)
  high = both.length ? both.reduce((a, b) => Math.max(a, b)) : 1
  low = Math.max(both.reduce((a, b) => Math.min(a, b), high), high / 1000)
  if (high / low < 1.5) [low, high] = [low / 1.5, high * 1.5]
} else {
  const sizes = shown.filter(Number.isFinite).map(Math.abs).sort((a, b) => a - b)
  high = sizes.length >= 30 ? sizes[Math.floor(0.97 * (sizes.length - 1))] : sizes.at(-1)
  high = high || 1
  low = -high
}
const palette = logarithmic ? sequential : diverging
const colour = (x) => {
  const share = logarithmic ? Math.log(Math.max(x, low) / low) / Math.log(high / low)
    : (x - low) / (high - low)
  return palette[Math.min(255, Math.max(0, Math.floor(256 * share)))]
}
const known = shown.map(Number.isFinite)
const nice_step = (rough) => {
  const power = 10 ** Math.floor(Math.log10(rough))
  return [1, 2, 5, 10].map((d) => d * power).find((step) => step >= rough * 0.999)
}
let ticks = []
if (logarithmic) {
  const decades = Math.log10(high / low)
  const digits = decades < 0.7 ? [1, 2, 3, 5, 7] : decades < 1.8 ? [1, 2, 5] : [1, 3]
  for (let p = Math.floor(Math.log10(low)); 10 ** p <= high; p++)
    ticks.push(...digits.map((d) => d * 10 ** p).filter((x) => x >= low && x <= high))
} else {
  const step = nice_step((high - low) / 6)
  for (let i = Math.ceil(low / step); i * step <= high; i++) ticks.push(i * step)
}
const [bar, other_bar] = logarithmic ? [log_bar, linear_bar] : [linear_bar, log_bar]
bar.color_mapper.setv({low, high})
bar.ticker.ticks = ticks
bar.title = `${measures[m].title}${label ? ` (${label})` : ""}`
bar.visible = true
other_bar.visible = false

const cell = (s, measure) => {
  const [name, scale] = units[measure]
  const x = value(k, measure, e, c, s) * scale
  return Number.isFinite(x) ? `${number(x)} ${name}`.trim() : "–"
}
const column = (kind) => all.map((s) => measures
  .map((each, i) => [each, i]).filter(([each]) => each.kind === kind)
  .map(([each, i]) => each.period === null ? cell(s, i) : `${each.period} s: ${cell(s, i)}`)
  .join(", "))
source.data = {
  ...source.data,
  colour: shown.map((x, s) => known[s] ? colour(x) : "rgba(0,0,0,0)"),
  edge: known.map((yes) => yes ? "#222222" : "#767676"),
  marker: known.map((yes) => yes ? "circle" : "triangle"),
  shown,
  value: all.map((s) => cell(s, m)),
  distance: all.map((s) => `${number(about.distance[e][s])} km`),
  back_azimuth: all.map((s) => `${number(about.back_azimuth[e][s])}°`),
  ...Object.fromEntries(["pga", "pgv", "pgd", "psa"].map((kind) => [kind, column(kind)])),
}
star.data = {x: [events[e].x], y: [events[e].y]}
heading.text = `<h2 style="font-size:16px;margin:4px 0">${esc(measures[m].title)}, ` +
  `${esc(components[c].title)}: ${esc(sources[k].title)}</h2>` +
  `<div>${esc(events[e].text)}. △ no value. Click a station for its waveforms.</div>`

const chosen = source.selected.indices[0]
if (chosen === undefined) {
  details.text = "<p>No station chosen: click one on the map, or take it from the list.</p>"
} else {
  station_select.value = String(chosen)
}
for (const [i, panel] of panels.entries()) {
  const component = about.panels[i]
  const found = about.waves.map((wave, w) => {
    const at = wave.components.indexOf(component)
    if (chosen === undefined || at < 0) return null
    const row = waves[2 * w][(e * S + chosen) * wave.components.length + at]
    return row < 0 ? null : {wave, row, samples: waves[2 * w + 1]}
  })
  const peaks = found.filter((each) => each !== null).map(({wave, row}) => wave.peaks[row])
  const [name, scale] = unit(trace_ladders, about.waves[0].units, Math.max(0, ...peaks))
  for (const [w, each] of found.entries()) {
    const [x, y] = [[], []]
    if (each !== null) {
      const {wave, row, samples} = each
      const n = wave.time.length
      for (let t = 0; t < n; t++) {
        for (const side of [0, 1]) {
          const share = samples[(row * n + t) * 2 + side]
          x.push(wave.time[t])
          y.push(share === -128 ? NaN : share / 127 * wave.peaks[row] * scale)
        }
      }
    }
    traces[i][w].data = {x, y}
  }
  const reach = 1.1 * (Math.max(0, ...peaks) * scale || 1)
  panel.y_range.setv({start: -reach, end: reach})
  const texts = found.map((each, w) => {
    const {title} = about.waves[w]
    if (each === null) return `${title} no record`
    return `${title} ${number(each.wave.peaks[each.row] * scale, 3)} ${name}`
  })
  panel.title.text = chosen === undefined ? component : `${component}   peak: ${texts.join(", ")}`
  panel.left[0].axis_label = name
}
if (chosen !== undefined) {
  const place = stations[chosen]
  const head = sources.map(({title}) => `<th scope="col">${esc(title)}</th>`).join("")
  const body = measures.map((measure, i) => {
    const cells = sources.map((_, other) => {
      const [name, scale] = unit_of(other, i)
      const x = value(other, i, e, c, chosen) * scale
      return `<td>${Number.isFinite(x) ? esc(`${number(x)} ${name}`) : "–"}</td>`
    })
    return `<tr><th scope="row">${esc(measure.title)}</th>${cells.join("")}</tr>`
  })
  details.text = `<h2>${esc(place.label)}</h2>` +
    `<p>${number(about.distance[e][chosen])} km from the epicentre, back azimuth ` +
    `${number(about.back_azimuth[e][chosen])}°, elevation ${number(place.elevation)} m. ` +
    `Values: ${esc(components[c].title)}.</p>` +
    `<table><thead><tr><td></td>${head}</tr></thead><tbody>${body.join("")}</tbody></table>`
}
"""

CHOOSE_STATION = r"""
source.selected.indices = this.value === "" ? [] : [Number(this.value)]
"""

DEGREES = r"""
const wrapped = letters === "EW" ? ((tick + 180) % 360 + 360) % 360 - 180 : tick
const size = Number(Math.abs(wrapped).toFixed(6))
const letter = size === 0 || size === 180 ? "" : wrapped > 0 ? letters[0] : letters[1]
return `${size}°${letter}`
"""

PLAIN_NUMBER = r"return String(Number(tick.toPrecision(4)))"
