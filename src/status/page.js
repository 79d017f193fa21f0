"use strict";
// One second between two looks; graphs show the last two minutes, figures the last one.
const EVERY = 1000, SAMPLES = 120, WINDOW = 60;
const groups = new Map();
let paused = false, last = new Date();

// All text goes in as text: names of groups are never markup.
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function drawing(tag, properties) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(properties)) made.setAttribute(name, value);
  return made;
}

function seconds(value) {
  if (value === null) return "–";
  if (value < 0.001) return (value * 1e6).toFixed(0) + " µs";
  if (value < 1) return Number((value * 1e3).toPrecision(3)) + " ms";
  return value.toFixed(2) + " s";
}

function span(value) {
  const days = Math.floor(value / 86400), hours = Math.floor(value / 3600) % 24, minutes = Math.floor(value / 60) % 60;
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${value % 60} s` : `${value} s`;
}

function memory(bytes) {
  return bytes === null ? "–" : (bytes / 1048576).toFixed(bytes < 1e8 ? 1 : 0) + " MiB";
}

function count(value) {
  return value.toLocaleString("en");
}

function total(counts) {
  return Object.values(counts).reduce((sum, value) => sum + value, 0);
}

// What a share of the durations in these buckets does not exceed, evenly spread within a bucket.
function quantile(buckets, bounds, share) {
  const rank = share * buckets.reduce((sum, value) => sum + value, 0);
  let below = 0;
  for (let i = 0; i < buckets.length; i++) {
    const lower = i ? bounds[i - 1] : 0;
    if (buckets[i] && (below + buckets[i] >= rank)) {
      return i < bounds.length ? lower + (bounds[i] - lower) * (rank - below) / buckets[i] : lower;
    }
    below += buckets[i];
  }
  return null;
}

// What has happened between two samples of a group.
function between(from, to, bounds) {
  const time = to.time - from.time, buckets = to.buckets.map((value, i) => value - from.buckets[i]);
  const answered = buckets.reduce((sum, value) => sum + value, 0);
  // After a restart of the server everything counts from zero.
  if (time <= 0 || buckets.some(value => value < 0)) return null;
  return {
    rate: answered / time,
    mean: answered ? (to.sum - from.sum) / answered : null,
    at: share => answered ? quantile(buckets, bounds, share) : null,
  };
}

class Graph {
  constructor(title, ...keys) {
    this.title = title;
    this.now = element("b");
    this.picture = drawing("svg", { viewBox: "0 0 240 60", preserveAspectRatio: "none", role: "img" });
    this.area = drawing("path", { class: "area" });
    this.lines = ["first", "second"].slice(0, keys.length || 1).map(name => drawing("path", { class: name }));
    this.picture.append(drawing("path", { class: "base", d: "M0 60H240" }), this.area, ...this.lines);
    this.keys = keys;
    this.figure = element("figure", {}, element("figcaption", {}, element("span", {}, title), this.now), this.picture);
  }

  // `series`: for each line its values, the newest last; null is a gap. `least`: what the scale reaches at least.
  draw(series, least, show) {
    const highest = Math.max(least, ...series.flat().filter(value => value !== null));
    const x = i => 240 - (series[0].length - 1 - i) * 240 / (SAMPLES - 1), y = value => 60 - value / highest * 56;
    series.forEach((values, line) => {
      let path = "", pen = false;
      values.forEach((value, i) => {
        if (value === null) { pen = false; return; }
        path += `${pen ? "L" : "M"}${x(i).toFixed(1)} ${y(value).toFixed(1)}`;
        if (!pen && (i + 1 === values.length || values[i + 1] === null)) path += "h.01";
        pen = true;
      });
      this.lines[line].setAttribute("d", path);
    });
    const filled = series[0].map((value, i) => `L${x(i).toFixed(1)} ${y(value ?? 0).toFixed(1)}`).join("");
    this.area.setAttribute("d", filled && `M${x(0).toFixed(1)} 60${filled}L240 60Z`);
    const newest = series.map((values, line) => {
      const value = show(values[values.length - 1] ?? null);
      return this.keys.length ? element("span", { class: line ? "key-second" : "key-first" }, `${line ? "┄" : "─"} ${this.keys[line]} ${value}`) : value;
    });
    this.now.replaceChildren(...newest.flatMap(value => [value, " "]), element("small", {}, `· scale ${show(highest)}`));
    this.picture.setAttribute("aria-label", `${this.title} now: ${this.now.textContent}`);
  }
}

// Rows of [title, value, …]; nothing but a word if there are none.
function table(title, head, wide) {
  const body = element("tbody"), none = element("p", { class: "none" }, "none");
  const columns = head.map(name => element("th", { scope: "col" }, name));
  const whole = element("table", { "aria-label": title }, element("thead", {}, element("tr", {}, ...columns)), body);
  const scroll = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, whole);
  const made = element("div", wide ? { class: "wide" } : {}, element("h3", {}, title), scroll, none);
  const fill = rows => {
    body.replaceChildren(...rows.map(([first, ...rest]) =>
      element("tr", {}, element("th", { scope: "row" }, first), ...rest.map(value => element("td", {}, value)))));
    scroll.hidden = !rows.length;
    none.hidden = Boolean(rows.length);
  };
  return { made, fill };
}

function state(name) {
  return element("span", { class: `state ${name}` }, name);
}

const TILES = ["Requests per second", "Threads busy", "Requests waiting", "Requests answered", "Answers 5xx", "Requests refused", "Processes ready"];

class Group {
  constructor(name) {
    this.samples = [];
    this.state = element("span");
    this.tiles = TILES.map(title => {
      const value = element("dd");
      return { value, made: element("div", {}, element("dt", {}, title), value) };
    });
    this.rate = new Graph("Requests per second");
    this.latency = new Graph("Latency", "p50", "p95");
    this.busy = new Graph("Busy threads");
    this.durations = table("Latency", ["", "mean", "p50", "p95", "p99"]);
    this.ended = table("Processes that ended, by reason", ["reason", "processes"]);
    this.refused = table("Requests refused, by reason", ["reason", "requests"]);
    this.processes = table("Processes", ["process", "state", "running for", "threads busy", "in flight", "requests", "memory", "generation"], true);
    this.loops = table("Event loops", ["process", "WebSockets", "messages in", "messages out", "background tasks", "lag p50", "lag p99"], true);
    this.opened = table("WebSockets", ["", ""]);
    this.denied = table("WebSockets refused, by reason", ["reason", "requests"]);
    this.closed = table("WebSockets closed, by code", ["code", "WebSockets"]);
    this.asgi = element("div", { class: "tables" }, this.loops.made, this.opened.made,
      element("div", { class: "stack" }, this.closed.made, this.denied.made));
    this.made = element("section", { "aria-label": `Process group ${name}` },
      element("div", { class: "title" }, element("h2", {}, name), this.state),
      element("dl", { class: "tiles" }, ...this.tiles.map(tile => tile.made)),
      element("div", { class: "graphs" }, this.rate.figure, this.latency.figure, this.busy.figure),
      element("div", { class: "tables" }, this.processes.made, this.durations.made,
        element("div", { class: "stack" }, this.ended.made, this.refused.made)), this.asgi);
  }

  show(group, report, time) {
    const bounds = report.bucket_bounds_seconds, duration = group.request_duration;
    this.samples.push({ time, buckets: duration.buckets, sum: duration.sum_seconds, busy: group.threads_busy });
    this.samples.splice(0, this.samples.length - SAMPLES - 1);
    const steps = this.samples.slice(1).map((sample, i) => between(this.samples[i], sample, bounds));
    const oldest = this.samples[Math.max(0, this.samples.length - 1 - WINDOW)];
    const recent = between(oldest, this.samples[this.samples.length - 1], bounds);

    const fresh = state(group.state);
    this.state.replaceWith(fresh);
    this.state = fresh;
    const rate = steps.length && steps[steps.length - 1] ? steps[steps.length - 1].rate : null;
    const answered = total(group.requests), refused = total(group.requests_refused), errors = group.requests["5xx"];
    const share = answered ? ` ${(errors / answered * 100).toFixed(errors ? 2 : 0)} %` : "";
    const of = value => element("small", {}, ` of ${value}`);
    [
      [rate === null ? "–" : count(Math.round(rate))],
      [count(group.threads_busy), of(group.threads)],
      [count(group.requests_waiting)],
      [count(answered)],
      [count(errors), element("small", {}, share)],
      [count(refused)],
      [count(group.processes_ready), of(group.processes_configured)],
    ].forEach((value, i) => this.tiles[i].value.replaceChildren(...value));
    this.tiles[2].made.className = group.requests_waiting ? "alarm" : "";
    this.tiles[6].made.className = group.state === "ready" ? "" : "alarm";

    const per = step => step && step.rate;
    this.rate.draw([steps.map(per)], 1, value => value === null ? "–" : `${value.toFixed(value < 10 ? 1 : 0)}/s`);
    this.latency.draw([0.5, 0.95].map(at => steps.map(step => step && step.at(at))), 0.001, seconds);
    this.busy.draw([this.samples.slice(-SAMPLES).map(sample => sample.busy)], Math.max(1, group.threads), value => `${value}`);

    const row = of => [of.mean_seconds, of.p50_seconds, of.p95_seconds, of.p99_seconds].map(seconds);
    const rows = [["since the start", ...row(duration)]];
    if (recent) rows.unshift(["last minute", seconds(recent.mean), ...[0.5, 0.95, 0.99].map(at => seconds(recent.at(at)))]);
    if (group.request_wait.count) rows.push([`waiting (${count(group.request_wait.count)})`, ...row(group.request_wait)]);
    this.durations.fill(rows);
    const counts = of => Object.entries(of).filter(([, value]) => value).map(([name, value]) => [name.replaceAll("_", " "), count(value)]);
    this.ended.fill(counts(group.process_exits));
    this.refused.fill(counts(group.requests_refused));
    this.processes.fill(group.processes.map(process => [
      String(process.pid), state(process.state), span(process.uptime_seconds), `${process.threads_busy} of ${process.threads}`,
      count(process.requests_in_flight), count(process.requests), memory(process.resident_memory_bytes), String(process.generation),
    ]));
    this.asgi.hidden = group.interface !== "asgi";
    const sockets = group.websockets;
    if (this.asgi.hidden || !sockets) return;
    this.loops.fill(group.processes.filter(process => process.event_loop).map(({ pid, event_loop: loop }) => [
      String(pid), count(loop.websockets_open), count(loop.messages_in), count(loop.messages_out), count(loop.background_tasks),
      seconds(loop.lag.p50_seconds), seconds(loop.lag.p99_seconds),
    ]));
    this.opened.fill([["open", count(sockets.open)], ["opened", count(sockets.opened)]]);
    this.denied.fill(counts(sockets.refused));
    this.closed.fill(counts(sockets.closed));
  }
}

function show(report, time) {
  const facts = [
    ["running for", span(report.uptime_seconds)],
    ["generation", String(report.generation)],
    ["supervisor", report.supervisor_up === null ? "none" : report.supervisor_up ? "running" : "not running"],
    ["compatible with", report.version],
  ];
  document.getElementById("server").replaceChildren(...facts.map(([name, value]) =>
    element("div", {}, element("dt", {}, name), element("dd", {}, value))));
  const main = document.getElementById("groups"), names = report.groups.map(group => group.name);
  for (const [name, group] of groups) {
    if (!names.includes(name)) { group.made.remove(); groups.delete(name); }
  }
  report.groups.forEach((group, i) => {
    if (!groups.has(group.name)) groups.set(group.name, new Group(group.name));
    const shown = groups.get(group.name);
    if (main.children[i] !== shown.made) main.insertBefore(shown.made, main.children[i] ?? null);
    shown.show(group, report, time);
  });
  if (!names.length) main.replaceChildren(element("section", {}, element("p", { class: "none" }, "There are no process groups (WSGIDaemonProcess).")));
}

function notice(text) {
  const place = document.getElementById("notice");
  place.hidden = !text;
  if (place.textContent !== text) place.textContent = text;
}

async function look() {
  if (!paused && !document.hidden) {
    try {
      const answer = await fetch("?format=json", { cache: "no-store" });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      show(await answer.json(), performance.now() / 1000);
      last = new Date();
      notice("");
    } catch (error) {
      notice(`The server does not answer (${error.message}); these figures are from ${last.toLocaleTimeString()}.`);
    }
  }
  setTimeout(look, EVERY);
}

document.getElementById("pause").addEventListener("click", event => {
  paused = !paused;
  event.target.setAttribute("aria-pressed", String(paused));
  event.target.textContent = paused ? "Resume" : "Pause";
});

show(JSON.parse(document.getElementById("report").textContent), performance.now() / 1000);
setTimeout(look, EVERY);
