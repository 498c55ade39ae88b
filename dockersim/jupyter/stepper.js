/**
 * The stepper: one front end for the widget in a notebook and for the exported page.
 *
 * It draws a trace document (`dockersim.trace/v1`) and never builds anything: the model does. The model is anywidget's
 * in a notebook and `replay()` (at the end of this file) in a page. Both have the same four parts:
 *
 *   traits     trace     the document; what is heavy in its steps (diff, output, key, configs) is left out
 *              position  the number of the step the build stands on, 0 before the first
 *              running   the number of the step that is running now, 0 when none is
 *              notice    one line for the learner: what could not be done, and why
 *   commands   {do: "prepare" | "next" | "back" | "run_to" | "finish" | "stop", line}
 *   questions  {ask: "step" | "list" | "file", id, step, path}, answered by {answer: id, ...}
 *   news       {output: text, step: number}, while a command writes
 */

const WINDOW = 200; // so many entries of a directory are drawn at a time
const OPEN_ALL = 60; // a diff with fewer paths than this is shown unfolded
const TAIL = 200_000; // so many characters of output are kept in the page
const TABS = [["files", "Files"], ["cache", "Cache"], ["size", "Size"], ["config", "Config"], ["output", "Output"]];
const MARKS = { added: "A", modified: "M", deleted: "D" };

/** What a badge says, in shape and word; colour comes on top of these, never alone. */
const BADGES = {
  hit: ["●", "HIT", "taken from the cache"],
  miss: ["◆", "MISS", "not in the cache, so it was run"],
  ran: ["◆", "RUN", "the cache was not asked"],
  failed: ["✕", "FAILED", "the step failed"],
  base: ["■", "BASE", "begins with layers that are there already"],
  config: ["○", "config", "changes only the image's config"],
  running: ["▶", "running", "running now"],
  none: ["·", "not run", "not run yet"],
  unused: ["–", "not built", "this stage is not needed for the target"],
};

/* ---------------------------------------------------------------- small things */

/** Make an element; `props` are properties, or attributes where the name has a dash or is `role`. */
function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role" || name === "for" || name === "style") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Bytes as docker shows them: decimal units, three digits. */
export function humanSize(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < 5) {
    value /= 1000;
    unit += 1;
  }
  return `${Number(value.toPrecision(3))} ${["B", "kB", "MB", "GB", "TB", "PB"][unit]}`;
}

const seconds = (value) => `${value.toFixed(value < 10 ? 2 : 1)} s`;
const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
const shortDigest = (text) => (text ? text.replace("sha256:", "").slice(0, 12) : "");

/** `-rw-r--r--`, as ls writes it. */
function modeWords(facts) {
  const bits = parseInt(facts.mode, 8);
  const kind = { file: "-", dir: "d", symlink: "l", fifo: "p", char: "c", block: "b" }[facts.type] ?? "?";
  const letters = [..."rwxrwxrwx"].map((letter, index) => (bits & (0o400 >> index) ? letter : "-"));
  if (bits & 0o4000) letters[2] = letters[2] === "x" ? "s" : "S";
  if (bits & 0o2000) letters[5] = letters[5] === "x" ? "s" : "S";
  if (bits & 0o1000) letters[8] = letters[8] === "x" ? "t" : "T";
  return kind + letters.join("");
}

/** Terminal colours are dropped, and of a line that was written over only its last form is kept. */
function plainOutput(text) {
  return text
    .replace(/\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07/g, "")
    .replace(/\r+\n/g, "\n")
    .replace(/[^\n]*\r(?=[^\n])/g, "")
    .replace(/\r/g, "");
}

function badgeOf(step, running) {
  if (running === step.number) return "running";
  if (step.state === "error") return "failed";
  if (step.state === "cached") return "hit";
  if (step.state !== "done") return "none";
  if (step.keyword === "FROM") return "base";
  if (step.cached === null) return "config";
  return step.cache?.verdict === "disabled" ? "ran" : "miss";
}

function badge(kind) {
  const [shape, word, title] = BADGES[kind];
  return h("span", { class: `ds-badge ds-${kind}`, title }, h("span", { class: "ds-shape", "aria-hidden": "true" }, shape), word);
}

/** A warning in words behind a shape; the row it stands in is read out with it. */
function findingNote(one) {
  return h("span", { class: "ds-finding", title: one.description }, h("span", { class: "ds-shape", "aria-hidden": "true" }, "▲"), `warning ${one.rule}: ${one.message}`);
}

/* ---------------------------------------------------------------- the difference of two texts */

/** Pair the lines of two texts: a list of [" " | "-" | "+", line]. Null where they are too long to compare. */
export function lineDiff(before, after) {
  const a = splitLines(before);
  const b = splitLines(after);
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail += 1;
  const middle = compareMiddle(a.slice(head, a.length - tail), b.slice(head, b.length - tail));
  if (middle === null) return null;
  const same = (line) => [" ", line];
  return [...a.slice(0, head).map(same), ...middle, ...a.slice(a.length - tail).map(same)];
}

function splitLines(text) {
  if (text === "") return [];
  return (text.endsWith("\n") ? text.slice(0, -1) : text).split("\n");
}

/** The longest common subsequence, by the textbook's table; it fits in 8 MB or it is not tried. */
function compareMiddle(a, b) {
  if (a.length * b.length > 4_000_000) return null;
  const width = b.length + 1;
  const length = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1)
    for (let j = b.length - 1; j >= 0; j -= 1)
      length[i * width + j] =
        a[i] === b[j] ? length[(i + 1) * width + j + 1] + 1 : Math.max(length[(i + 1) * width + j], length[i * width + j + 1]);
  const rows = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) rows.push([" ", a[i++], j++]);
    else if (j >= b.length || (i < a.length && length[(i + 1) * width + j] >= length[i * width + j + 1])) rows.push(["-", a[i++]]);
    else rows.push(["+", b[j++]]);
  }
  return rows;
}

/** Draw a line diff with three lines around each change, and a line where some are left out. */
function drawLines(rows) {
  const shown = new Uint8Array(rows.length);
  rows.forEach(([mark], at) => {
    if (mark !== " ") shown.fill(1, Math.max(0, at - 3), at + 4);
  });
  const lines = [];
  let skipped = 0;
  const flush = () => {
    if (skipped) lines.push(h("div", { class: "ds-skip" }, `⋯ ${plural(skipped, "unchanged line")}`));
    skipped = 0;
  };
  rows.forEach(([mark, line], at) => {
    if (!shown[at]) {
      skipped += 1;
      return;
    }
    flush();
    lines.push(h("div", { class: { "+": "ds-plus", "-": "ds-minus", " ": "" }[mark] }, `${mark} ${line}`));
  });
  flush();
  return h("div", { class: "ds-lines", tabIndex: 0, role: "region", "aria-label": "Changed lines" }, lines);
}

/* ---------------------------------------------------------------- a directory tree, drawn as it is opened */

/** Fold the rows of a diff into directories, counting what is below each. */
export function foldRows(rows) {
  const root = { name: "", path: "", below: new Map(), added: 0, modified: 0, deleted: 0, bytes: 0 };
  for (const row of rows) {
    let node = root;
    const size = row[3]?.size ?? 0;
    for (const name of row[1].split("/")) {
      node[row[0]] += 1;
      node.bytes += size;
      node.below ??= new Map();
      let child = node.below.get(name);
      if (!child) {
        const path = node.path ? `${node.path}/${name}` : name;
        child = { name, path, below: null, added: 0, modified: 0, deleted: 0, bytes: 0, row: null };
        node.below.set(name, child);
      }
      node = child;
    }
    node.row = row;
  }
  return root;
}

const byName = (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
const isDirectory = (node) => node.below !== null || (node.row?.[3] ?? node.row?.[2])?.type === "dir";

/** Scroll `box`, and nothing around it, so that `element` can be seen: the notebook must not jump. */
function reveal(box, element) {
  const outer = box.getBoundingClientRect();
  const inner = element.getBoundingClientRect();
  if (inner.top < outer.top) box.scrollTop -= outer.top - inner.top;
  else if (inner.bottom > outer.bottom) box.scrollTop += inner.bottom - outer.bottom;
}

/**
 * A tree that draws a directory's entries only when it is opened, and no more than WINDOW of them at a time.
 * `load(node)` gives the nodes in a directory, or a promise of them; `opens(node)` tells whether there is anything to
 * open; `pick(node)` is called for what is chosen.
 */
class FileTree {
  constructor(label, load, opens, pick) {
    this.load = load;
    this.opens = opens;
    this.pick = pick;
    this.nodes = new WeakMap();
    this.element = h("ul", { class: "ds-tree", role: "tree", "aria-label": label, onkeydown: (event) => this.key(event) });
    this.element.addEventListener("click", (event) => this.click(event));
  }

  /** Draw the entries of `root`; unfold what has one directory only, or everything if it is little. */
  async start(root, little) {
    await this.fill(this.element, root, 1, 0);
    this.element.querySelector("li")?.setAttribute("tabindex", "0");
    await this.unfold(this.element, little);
  }

  async unfold(list, everything) {
    const items = [...list.children].filter((item) => item.getAttribute("aria-expanded") === "false");
    if (!everything && items.length !== 1) return;
    for (const item of items) {
      if (this.nodes.get(item).below === null) continue;
      await this.open(item);
      await this.unfold(item.lastElementChild, everything);
    }
  }

  async fill(list, node, level, from) {
    const loaded = this.load(node);
    const children = loaded instanceof Promise ? await loaded : loaded;
    const rows = children.slice(from, from + WINDOW).map((child) => this.item(child, level));
    list.append(...rows);
    const rest = children.length - from - WINDOW;
    if (rest > 0) list.append(this.more(list, node, level, from + WINDOW, rest));
    if (children.length === 0 && level > 1) list.append(h("li", { class: "ds-empty", role: "none" }, "empty"));
    return rows;
  }

  more(list, node, level, from, rest) {
    const item = h("li", { class: "ds-more", role: "treeitem", tabIndex: -1, "aria-level": String(level) });
    item.textContent = `show ${Math.min(WINDOW, rest)} more of ${rest.toLocaleString("en")}`;
    this.nodes.set(item, {
      more: async () => {
        item.remove();
        const rows = await this.fill(list, node, level, from);
        this.focus(rows[0]);
      },
    });
    return item;
  }

  item(node, level) {
    const folder = this.opens(node);
    const item = h(
      "li",
      { role: "treeitem", tabIndex: -1, "aria-level": String(level), "aria-expanded": folder ? "false" : undefined },
      h("div", { class: "ds-row", style: `--level:${level}` }, this.cells(node, isDirectory(node), folder)),
    );
    item.dataset.path = node.path;
    this.nodes.set(item, node);
    return item;
  }

  cells(node, folder, opens) {
    const what = node.row?.[0];
    const facts = node.row?.[3] ?? node.row?.[2];
    const link = facts?.link ? ` → ${facts.link}` : "";
    return [
      h("span", { class: "ds-twisty", "aria-hidden": "true" }, opens ? "▸" : ""),
      h("span", { class: `ds-mark ds-${what ?? "same"}`, title: what ?? "unchanged", "aria-label": what ?? undefined }, MARKS[what] ?? "·"),
      h("span", { class: "ds-name" }, node.name + (folder ? "/" : ""), h("span", { class: "ds-dim" }, link)),
      h("span", { class: "ds-counts" }, folder ? countWords(node) : ""),
      h("span", { class: "ds-size" }, sizeWords(node, folder, facts)),
    ];
  }

  async open(item) {
    item.setAttribute("aria-expanded", "true");
    const list = h("ul", { role: "group" });
    item.append(list);
    await this.fill(list, this.nodes.get(item), Number(item.getAttribute("aria-level")) + 1, 0);
  }

  close(item) {
    item.setAttribute("aria-expanded", "false");
    item.querySelector(":scope > ul")?.remove();
  }

  click(event) {
    const item = event.target.closest("li");
    if (!item || !this.nodes.has(item)) return;
    this.focus(item);
    this.choose(item, true);
  }

  choose(item, toggle) {
    const node = this.nodes.get(item);
    if (node.more) node.more();
    else {
      for (const other of this.element.querySelectorAll("[aria-selected=true]")) other.removeAttribute("aria-selected");
      item.setAttribute("aria-selected", "true");
      const state = item.getAttribute("aria-expanded");
      if (toggle && state === "false") this.open(item);
      if (toggle && state === "true") this.close(item);
      this.pick(node);
      reveal(this.element.parentElement, item.firstElementChild);
    }
  }

  focus(item) {
    if (!item) return;
    for (const other of this.element.querySelectorAll('li[tabindex="0"]')) other.tabIndex = -1;
    item.tabIndex = 0;
    item.focus();
  }

  key(event) {
    const item = event.target.closest("li");
    if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
    const state = item.getAttribute("aria-expanded");
    const all = [...this.element.querySelectorAll("li[role=treeitem]")];
    const at = all.indexOf(item);
    const actions = {
      ArrowDown: () => this.focus(all[at + 1]),
      ArrowUp: () => this.focus(all[at - 1]),
      Home: () => this.focus(all[0]),
      End: () => this.focus(all[all.length - 1]),
      ArrowRight: () => (state === "false" ? this.open(item) : state === "true" && this.focus(all[at + 1])),
      ArrowLeft: () => (state === "true" ? this.close(item) : this.focus(item.parentElement.closest("li"))),
      Enter: () => this.choose(item, true),
      " ": () => this.choose(item, true),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    actions[event.key]();
  }
}

function countWords(node) {
  const words = Object.entries(MARKS).map(([what, mark]) => node[what] && h("span", { class: `ds-${what}` }, `${mark} ${node[what].toLocaleString("en")}`));
  return words.filter(Boolean);
}

function sizeWords(node, folder, facts) {
  if (folder) return node.bytes ? humanSize(node.bytes) : "";
  if (node.row?.[0] === "deleted") return "";
  return facts?.type === "file" ? humanSize(facts.size) : (facts?.type ?? "");
}

/* ---------------------------------------------------------------- the view */

class View {
  constructor(model, el) {
    this.model = model;
    this.prefix = Math.random().toString(36).slice(2, 8); // several views of one model must not take each other's answers
    this.asked = 0;
    this.waiting = new Map();
    this.details = new Map();
    this.live = { step: 0, text: "" };
    this.tab = "files";
    this.whole = false;
    this.selected = 0;
    this.drawn = 0;
    this.build(el);
    this.listen();
    this.refresh();
  }

  get trace() {
    return this.model.get("trace");
  }

  get position() {
    return this.model.get("position");
  }

  get running() {
    return this.model.get("running");
  }

  /** What the build checks found; a trace that was written before there were checks has none. */
  get findings() {
    return this.trace.findings ?? [];
  }

  get step() {
    return this.trace.steps[this.position - 1] ?? null;
  }

  get ended() {
    return this.position === this.trace.steps.length || this.step?.state === "error";
  }

  /* ------------------------------------------------------------ asking the model */

  ask(question) {
    const id = `${this.prefix}${(this.asked += 1)}`;
    const answered = new Promise((resolve) => this.waiting.set(id, resolve));
    this.model.send({ ...question, id });
    return answered;
  }

  /** Everything about a step; kept, as a step that was taken never changes. */
  detail(step) {
    const name = `${step.number} ${step.state}`;
    if (!this.details.has(name)) this.details.set(name, this.ask({ ask: "step", step: step.number }).then((answer) => answer.fields));
    return this.details.get(name);
  }

  listen() {
    this.onMessage = (message) => this.hear(message);
    this.onChange = () => this.refresh();
    this.model.on("msg:custom", this.onMessage);
    for (const trait of ["trace", "position", "running", "notice"]) this.model.on(`change:${trait}`, this.onChange);
  }

  forget() {
    this.model.off("msg:custom", this.onMessage);
    for (const trait of ["trace", "position", "running", "notice"]) this.model.off(`change:${trait}`, this.onChange);
    this.keyTarget.removeEventListener("keydown", this.onKey);
  }

  hear(message) {
    if (message.answer !== undefined) {
      this.waiting.get(message.answer)?.(message);
      this.waiting.delete(message.answer);
    } else if (message.output !== undefined) this.take(message);
  }

  /** Take in a piece of output of the step that is running. */
  take(message) {
    if (message.step !== this.live.step) this.live = { step: message.step, text: "" };
    this.live.text = plainOutput(this.live.text + message.output).slice(-TAIL);
    const lines = this.live.text.trimEnd().split("\n");
    this.tail.textContent = this.running ? lines[lines.length - 1] : "";
    const box = this.panes.output.querySelector(".ds-live");
    if (box) {
      box.textContent = this.live.text;
      box.scrollTop = box.scrollHeight;
    } else if (this.tab === "output") this.drawPane();
  }

  /* ------------------------------------------------------------ the frame */

  build(el) {
    this.buttons = {
      back: this.button("back", "◂ Back", "b", "Show the step before (b or ←)"),
      next: this.button("next", "Next ▸", "n", "Take the next step (n or →)"),
      run_to: this.button("run_to", "Run to here", "r", "Run to the selected line (r or Enter)"),
      finish: this.button("finish", "Finish", "f", "Take every step that is left (f)"),
      stop: this.button("stop", "Stop", "s", "Stop the command that is running (s)"),
    };
    this.status = h("div", { class: "ds-status", role: "status", "aria-live": "polite" });
    this.tail = h("div", { class: "ds-tail", "aria-hidden": "true" });
    this.list = h("div", { class: "ds-code", role: "listbox", tabIndex: 0, "aria-label": "Dockerfile" });
    this.checks = h("section", { class: "ds-checks", "aria-label": "Build checks", hidden: true });
    this.head = h("div", { class: "ds-head" });
    this.tablist = h("div", { class: "ds-tabs", role: "tablist", "aria-label": "What the step did" });
    this.panes = {};
    this.root = h(
      "div",
      { class: "dockersim", role: "group", "aria-label": "Build stepper", "data-lm-suppress-shortcuts": "true" },
      h("div", { class: "ds-bar" }, h("div", { class: "ds-buttons", role: "toolbar", "aria-label": "Steps" }, Object.values(this.buttons)), h("div", { class: "ds-says" }, this.status, this.tail)),
      h("div", { class: "ds-body" }, h("div", { class: "ds-left" }, this.list, this.checks), h("div", { class: "ds-right" }, this.head, this.tablist, TABS.map(([name, label]) => this.tabPair(name, label)))),
    );
    el.append(this.root);
    this.drawCode();
    this.bind();
    this.selectTab("files");
    if (this.model.wholePage) this.list.focus();
    if (this.trace.steps.length === 0) this.model.send({ do: "prepare" });
  }

  button(name, label, key, title) {
    return h("button", { type: "button", class: `ds-button ds-do-${name}`, title, "aria-keyshortcuts": key, onclick: () => this.command(name) }, label);
  }

  tabPair(name, label) {
    const tab = h("button", { type: "button", role: "tab", id: `${this.prefix}-tab-${name}`, "aria-controls": `${this.prefix}-${name}`, onclick: () => this.selectTab(name) }, label);
    tab.dataset.tab = name;
    this.tablist.append(tab);
    this.panes[name] = h("div", { class: `ds-pane ds-pane-${name}`, role: "tabpanel", id: `${this.prefix}-${name}`, "aria-labelledby": tab.id, tabIndex: 0 });
    return this.panes[name];
  }

  drawCode() {
    const lines = this.trace.dockerfile.text.replace(/\n$/, "").split("\n");
    this.rows = lines.map((text, index) => {
      const row = h("div", { class: "ds-line", role: "option", id: `${this.prefix}-line-${index + 1}`, "aria-selected": "false" });
      row.append(h("span", { class: "ds-number", "aria-hidden": "true" }, String(index + 1)), h("span", { class: "ds-text" }, text || " "), h("span", { class: "ds-slot" }));
      row.addEventListener("click", () => this.select(index + 1));
      row.addEventListener("dblclick", () => this.command("run_to"));
      return row;
    });
    this.drawnText = this.trace.dockerfile.text;
    this.drawnFindings = [];
    this.list.replaceChildren(h("div", { class: "ds-file", role: "presentation" }, this.trace.dockerfile.name), ...this.rows);
  }

  bind() {
    this.keyTarget = this.model.wholePage ? document : this.root;
    this.onKey = (event) => this.key(event);
    this.keyTarget.addEventListener("keydown", this.onKey);
    this.tablist.addEventListener("keydown", (event) => this.tabKey(event));
  }

  /* ------------------------------------------------------------ keys and commands */

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const inPane = event.target.closest?.(".ds-pane"); // not [role=tabpanel]: the whole notebook stands in one
    const onButton = event.target.closest?.("button, a");
    const commands = { n: "next", b: "back", r: "run_to", f: "finish", s: "stop", Escape: "stop" };
    if (!inPane) Object.assign(commands, { ArrowRight: "next", ArrowLeft: "back" });
    if (!inPane && !onButton) Object.assign(commands, { Enter: "run_to" });
    const moves = { ArrowDown: 1, ArrowUp: -1 };
    if (commands[event.key]) this.command(commands[event.key]);
    else if (moves[event.key] && !inPane) this.move(moves[event.key]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  tabKey(event) {
    const names = TABS.map(([name]) => name);
    const at = names.indexOf(this.tab);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: names.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.selectTab(names[(to + names.length) % names.length]);
    this.tablist.querySelector("[aria-selected=true]").focus();
  }

  allowed(name) {
    if (name === "stop") return this.running > 0;
    if (this.running) return false;
    if (name === "back") return this.position > 1;
    if (name === "run_to") return Boolean(this.stepAt(this.selected));
    return !this.ended;
  }

  command(name) {
    if (!this.allowed(name)) return;
    this.model.send(name === "run_to" ? { do: name, line: this.selected } : { do: name });
  }

  stepAt(line) {
    return this.trace.steps.find((step) => step.line <= line && line <= step.last_line);
  }

  /** Move the selection to the next line that has a step, or a warning of its own. */
  move(by) {
    const stops = (line) => this.stepAt(line) || this.findings.some((one) => one.line === line);
    let line = this.selected + by;
    while (line >= 1 && line <= this.rows.length && !stops(line)) line += by;
    if (stops(line)) this.select(line);
  }

  select(line) {
    const step = this.stepAt(line);
    this.selected = step ? step.line : line;
    this.rows.forEach((row, index) => {
      const inside = step ? step.line <= index + 1 && index + 1 <= step.last_line : index + 1 === line;
      row.setAttribute("aria-selected", String(inside));
    });
    const row = this.rows[this.selected - 1];
    if (!row) return;
    this.list.setAttribute("aria-activedescendant", row.id);
    reveal(this.list.parentElement, row);
    this.drawButtons();
  }

  selectTab(name) {
    this.tab = name;
    for (const tab of this.tablist.children) {
      const chosen = tab.dataset.tab === name;
      tab.setAttribute("aria-selected", String(chosen));
      tab.tabIndex = chosen ? 0 : -1;
      this.panes[tab.dataset.tab].hidden = !chosen;
    }
    this.drawPane();
  }

  /* ------------------------------------------------------------ drawing */

  refresh() {
    if (this.drawnText !== this.trace.dockerfile.text) this.drawCode();
    const step = this.step;
    this.drawBadges();
    this.drawFindings();
    this.drawHead();
    const words = this.statusWords();
    if (this.status.textContent !== words) this.status.textContent = words;
    this.root.classList.toggle("ds-busy", this.running > 0);
    if (!this.running) this.tail.textContent = "";
    const now = step ? `${step.number} ${step.state}` : "";
    if (now !== this.drawnStep) {
      this.drawnStep = now;
      if (step) this.select(step.line);
      this.drawPane();
    } else if (this.tab === "output" || this.tab === "size") this.drawPane();
    this.drawButtons();
  }

  drawButtons() {
    // A disabled button would lose the keyboard's focus, so it only says that it is disabled.
    for (const [name, button] of Object.entries(this.buttons)) button.setAttribute("aria-disabled", String(!this.allowed(name)));
  }

  drawBadges() {
    const kinds = new Map();
    for (const step of this.trace.steps) kinds.set(step.line, badgeOf(step, this.running));
    for (const stage of this.trace.stages) if (!stage.built) kinds.set(stage.line, "unused");
    const step = this.step;
    this.rows.forEach((row, index) => {
      const line = index + 1;
      const kind = kinds.get(line);
      const slot = row.querySelector(".ds-slot");
      if (slot.dataset.kind !== kind) slot.replaceChildren(...(kind ? [badge(kind)] : []));
      slot.dataset.kind = kind;
      const here = Boolean(step && step.line <= line && line <= step.last_line);
      row.classList.toggle("ds-here", here);
      if (here) row.setAttribute("aria-current", "step");
      else row.removeAttribute("aria-current");
    });
  }

  /** Put each finding below its line, where it is read out with it, and all of them with their pages below the file. */
  drawFindings() {
    if (JSON.stringify(this.drawnFindings) === JSON.stringify(this.findings)) return;
    this.drawnFindings = this.findings;
    for (const note of this.list.querySelectorAll(".ds-finding")) note.remove();
    for (const one of this.findings) this.rows[one.line - 1]?.append(findingNote(one));
    this.checks.hidden = this.findings.length === 0;
    this.checks.replaceChildren(
      h("h4", {}, `The build checks found ${plural(this.findings.length, "warning")}`),
      h("ul", { class: "ds-notes" }, this.findings.map((one) => this.findingItem(one))),
    );
  }

  findingItem(one) {
    const line = h("button", { type: "button", class: "ds-button", onclick: () => this.select(one.line) }, `line ${one.line}`);
    // A trace may come from anywhere: only a page can be linked to, never a script.
    const page = one.url?.startsWith("https://");
    const link = page && h("a", { href: one.url, target: "_blank", rel: "noopener noreferrer", "aria-label": `About ${one.rule}` }, one.rule);
    return h("li", {}, line, " ", link || one.rule, `: ${one.message}`);
  }

  statusWords() {
    const { trace, step, position, running } = this;
    const all = trace.steps.length;
    if (running) return `Running step ${running} of ${all}: ${trace.steps[running - 1]?.instruction.split("\n")[0] ?? ""}`;
    const notice = this.model.get("notice");
    if (notice) return notice;
    const warned = this.findings.length ? ` The build checks found ${plural(this.findings.length, "warning")}.` : "";
    if (!step) return all ? `${plural(all, "step")}. Press n or → to take the first one.${warned}` : "Press n or → to begin.";
    if (step.state === "error") return `Step ${position} of ${all} failed: ${step.error}`;
    const built = position === all && trace.image ? ` Built ${shortDigest(trace.image.id)}, ${humanSize(trace.image.size ?? 0)}.` : "";
    const [, word, meaning] = BADGES[badgeOf(step, 0)];
    const why = step.cached === null ? meaning : `${word.toLowerCase()}, ${step.cache?.because ?? meaning}`;
    return `Step ${position} of ${all}: ${why}.${built}`;
  }

  drawHead() {
    const step = this.running ? this.trace.steps[this.running - 1] : this.step;
    if (!step) {
      this.head.replaceChildren(h("div", { class: "ds-dim" }, "Before the first step"));
      return;
    }
    const facts = [];
    if (step.layer) facts.push(`+${humanSize(step.sizes.added)}`);
    if (step.state !== "not-run" && step.cached !== null) facts.push(step.state === "cached" ? `took ${seconds(step.seconds)} when it ran` : seconds(step.seconds));
    if (step.exit_code) facts.push(`exit code ${step.exit_code}`);
    this.head.replaceChildren(
      badge(badgeOf(step, this.running)),
      h("code", { class: "ds-instruction", title: step.instruction }, step.instruction.split("\n")[0]),
      h("span", { class: "ds-facts" }, facts.join(" · ")),
    );
  }

  /** Draw the pane of the chosen tab; what arrives late for another step is dropped. */
  async drawPane() {
    const pane = this.panes[this.tab];
    const turn = (this.drawn += 1);
    const step = this.step;
    const tab = this.tab;
    if (tab === "output" && this.running) return void pane.replaceChildren(...this.liveOutput());
    if (!step) return void pane.replaceChildren(h("p", { class: "ds-dim" }, "No step has been taken yet."));
    const fields = await this.detail(step);
    if (turn !== this.drawn) return;
    const content = { files: drawFiles, cache: drawCache, size: drawSize, config: drawConfig, output: drawOutput }[tab](this, step, fields);
    pane.replaceChildren(...(await content).filter(Boolean));
  }

  liveOutput() {
    const text = this.live.step === this.running ? this.live.text : "";
    return [h("pre", { class: "ds-output ds-live", tabIndex: 0, role: "log", "aria-label": "Output" }, text || "nothing written yet")];
  }
}

/* ---------------------------------------------------------------- files */

function drawFiles(view, step, fields) {
  const rows = fields.diff;
  const detail = h("div", { class: "ds-detail", hidden: true });
  const holder = h("div", { class: "ds-holder" });
  const change = (whole) => {
    view.whole = whole;
    for (const button of choice.children) button.setAttribute("aria-pressed", String((button.dataset.whole === "yes") === whole));
    detail.hidden = true;
    return fillTree(view, step, rows, holder, detail, summary);
  };
  const choice = h("div", { class: "ds-choice", role: "group", "aria-label": "Which files" },
    h("button", { type: "button", onclick: () => change(false) }, "What changed"),
    h("button", { type: "button", onclick: () => change(true) }, "Whole file system"));
  choice.children[1].dataset.whole = "yes";
  const summary = h("span", { class: "ds-summary" });
  return Promise.resolve(change(view.whole)).then(() => [h("div", { class: "ds-filesbar" }, choice, summary), holder, detail]);
}

async function fillTree(view, step, rows, holder, detail, summary) {
  holder.replaceChildren(); // what stood here must not be clicked while the answer is on its way
  summary.replaceChildren(...diffWords(rows));
  if (!view.whole && !rows) return void holder.replaceChildren(h("p", { class: "ds-dim" }, "The changes of this step are not in this trace."));
  if (!view.whole && rows.length === 0) return void holder.replaceChildren(h("p", { class: "ds-dim" }, noChange(step)));
  const folded = foldRows(rows ?? []);
  const pick = (node) => showPath(view, step, node, detail);
  const tree = view.whole
    ? new FileTree("Whole file system", (node) => listing(view, step, node, folded), isDirectory, pick)
    : new FileTree("Changed files", (node) => [...(node.below?.values() ?? [])].sort(byName), (node) => node.below !== null, pick);
  const root = view.whole ? { name: "", path: "", below: null } : folded;
  const problem = view.whole ? (await view.ask({ ask: "list", step: step.number, path: "" })).problem : "";
  if (problem) return void holder.replaceChildren(h("p", { class: "ds-dim" }, problem));
  await tree.start(root, !view.whole && rows.length <= OPEN_ALL);
  holder.replaceChildren(tree.element);
}

function diffWords(rows) {
  if (!rows) return [];
  const counts = { added: 0, modified: 0, deleted: 0 };
  for (const [what] of rows) counts[what] += 1;
  return Object.entries(counts).map(([what, count]) => h("span", { class: `ds-${what}` }, `${MARKS[what]} ${count.toLocaleString("en")} ${what}`));
}

function noChange(step) {
  if (step.cached === null && step.keyword !== "FROM") return `${step.keyword} changes no file: it only changes the image's config.`;
  return "This step changed no file.";
}

/** Ask for one directory of the whole file system, and mark in it what the step changed. */
async function listing(view, step, node, folded) {
  const { entries } = await view.ask({ ask: "list", step: step.number, path: node.path });
  let changed = folded;
  for (const name of node.path ? node.path.split("/") : []) changed = changed?.below?.get(name);
  return entries.map(([name, facts]) => {
    const known = changed?.below?.get(name);
    const counts = { added: known?.added ?? 0, modified: known?.modified ?? 0, deleted: known?.deleted ?? 0 };
    const row = known?.row ?? [undefined, "", facts, facts];
    return { name, path: node.path ? `${node.path}/${name}` : name, below: null, bytes: 0, ...counts, row };
  });
}

/** Show what stands at a path before and after the step, and for a text file the lines that changed. */
async function showPath(view, step, node, detail) {
  if (!node.row) return;
  const [what, , before, after] = node.row;
  detail.hidden = false;
  detail.dataset.path = node.path;
  const title = h("div", { class: "ds-path" }, h("span", { class: `ds-mark ds-${what ?? "same"}` }, MARKS[what] ?? "·"), h("code", {}, `/${node.path}`), h("span", { class: "ds-dim" }, what ?? "unchanged by this step"));
  detail.replaceChildren(title, ...metadata(what, before, after).filter(Boolean));
  if ((after ?? before).type !== "file") return;
  const content = h("div", { class: "ds-content" }, h("p", { class: "ds-dim" }, "reading …"));
  detail.append(content);
  const answer = await view.ask({ ask: "file", step: step.number, path: node.path });
  if (detail.dataset.path === node.path) content.replaceChildren(...contentOf(answer));
}

const FACTS = [
  ["type", (facts) => facts.type],
  ["mode", (facts) => `${facts.mode} ${modeWords(facts)}`],
  ["owner", (facts) => `${facts.uid}:${facts.gid}`],
  ["size", (facts) => (facts.size === undefined ? "" : `${facts.size.toLocaleString("en")} B`)],
  ["sha256", (facts) => (facts.sha256 ? `${facts.sha256.slice(0, 16)}…` : "")],
  ["link", (facts) => facts.link ?? ""],
  ["device", (facts) => (facts.device ? facts.device.join(", ") : "")],
  ["time", (facts) => new Date(facts.mtime * 1000).toISOString().replace("T", " ").slice(0, 19)],
];

/** A table of what is different; what is the same before and after stands in one line below it. */
function metadata(what, before, after) {
  const facts = FACTS.map(([name, write]) => [name, before ? write(before) : "", after ? write(after) : ""]);
  const changed = what === "modified" ? facts.filter(([, one, two]) => one !== two) : [];
  const same = facts.filter(([name, one, two]) => (one || two) && !changed.some(([other]) => other === name));
  const words = same.map(([name, one, two]) => (name === "sha256" || name === "link" ? `${name} ${two || one}` : two || one));
  return [
    changed.length > 0 && h("table", { class: "ds-table" },
      h("thead", {}, h("tr", {}, ["", "before", "after"].map((word) => h("th", { scope: "col" }, word)))),
      h("tbody", {}, changed.map(([name, one, two]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, one || "—"), h("td", {}, two || "—"))))),
    h("div", { class: "ds-same-facts" }, `${{ modified: "the same: ", deleted: "it was: " }[what] ?? ""}${words.join(" · ")}`),
  ];
}

function contentOf({ before, after, problem }) {
  if (problem) return [h("p", { class: "ds-dim" }, problem)];
  const told = [before, after].find((side) => side && side.text === undefined);
  if (told) return [h("p", { class: "ds-dim" }, told.note)];
  const rows = lineDiff(before?.text ?? "", after?.text ?? "");
  if (rows === null) return [h("p", { class: "ds-dim" }, "The two texts are too long to be compared line by line.")];
  if (rows.length === 0) return [h("p", { class: "ds-dim" }, "The file is empty.")];
  if (rows.every(([mark]) => mark === " ")) return [h("p", { class: "ds-dim" }, before && after ? "The content is the same." : "")].concat(plainLines(after?.text ?? before.text));
  return [drawLines(rows)];
}

const plainLines = (text) => h("div", { class: "ds-lines", tabIndex: 0, role: "region", "aria-label": "Content" }, splitLines(text).map((line) => h("div", {}, `  ${line}`)));

/* ---------------------------------------------------------------- cache */

const VERDICTS = { hit: "Hit", miss: "Miss", unknown: "Unknown", disabled: "Not asked", "not-needed": "Nothing to look up" };

function drawCache(view, step, fields) {
  const cache = fields.cache;
  if (!cache) return [h("p", { class: "ds-dim" }, "The cache has not been asked about this step yet.")];
  return [
    h("p", { class: `ds-verdict ds-verdict-${cache.verdict}` }, h("strong", {}, `${VERDICTS[cache.verdict]}: `), h("span", { class: "ds-because" }, cache.because)),
    cache.differences.length > 0 && differenceTable(cache),
    cache.fields && keyTable(cache),
    fields.variables?.length > 0 && variableTable(fields),
  ];
}

function section(title, ...content) {
  return h("section", {}, h("h4", {}, title), content);
}

function grid(headings, rows, cls = "") {
  return h("div", { class: "ds-scroll" }, h("table", { class: `ds-table ${cls}` },
    h("thead", {}, h("tr", {}, headings.map((word) => h("th", { scope: "col" }, word)))),
    h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell, index) => h(index ? "td" : "th", index ? {} : { scope: "row" }, cell ?? "")))))));
}

function differenceTable(cache) {
  const say = (field, value) => (value === null ? "—" : field === "parent" ? shortDigest(value) : shorten(value));
  const rows = cache.differences.slice(0, WINDOW).map((one) => [one.field.replace(":", " "), say(one.field, one.before), say(one.field, one.after)]);
  const rest = cache.differences.length - rows.length;
  return section(`What differs from the earlier build ${shortDigest(cache.compared_with)}`, grid(["field", "earlier build", "this build"], rows), rest > 0 && h("p", { class: "ds-dim" }, `and ${plural(rest, "more field")}`));
}

const shorten = (text) => text.replace(/[0-9a-f]{64}/g, (digest) => `${digest.slice(0, 12)}…`);

function keyTable(cache) {
  const key = cache.fields;
  const rows = [["step below", shortDigest(key.parent) || "none"], ["instruction", key.instruction]];
  if (key.user) rows.push(["user", key.user]);
  if (key.directory) rows.push(["directory", key.directory]);
  for (const [name, value] of key.environment) rows.push([`env ${name}`, value]);
  for (const [name, value] of key.options) rows.push([`flag ${name}`, value]);
  for (const [path, kind, digest, mode, uid, gid, link] of key.inputs.slice(0, WINDOW))
    rows.push([path || ".", [kind, shortDigest(digest), mode.toString(8).padStart(4, "0"), `${uid}:${gid}`, link && `→ ${link}`].filter(Boolean).join("  ")]);
  const rest = key.inputs.length - WINDOW;
  return section(`The cache key ${shortDigest(cache.key)} is made of`, grid(["field", "value"], rows), rest > 0 && h("p", { class: "ds-dim" }, `and ${plural(rest, "more file")}`));
}

function variableTable(fields) {
  const rows = fields.variables.map((use) => [`$${use.name}`, use.value ?? "(unset)", use.line ? `${use.origin}, line ${use.line}` : use.origin]);
  return section("Variables in this instruction", grid(["name", "value", "from"], rows));
}

/* ---------------------------------------------------------------- size */

function drawSize(view, step) {
  const steps = view.trace.steps.filter((one) => one.stage === step.stage);
  const bars = [];
  for (const one of steps) {
    if (one.keyword === "FROM" && one.sizes) bars.push([one, one.sizes.image, one.sizes.image]);
    else if (one.layer) bars.push([one, one.sizes.added, one.sizes.layer]);
  }
  const most = Math.max(1, ...bars.map(([, size]) => size));
  const rows = bars.map(([one, size, tar]) => [
    `${one.line}`,
    h("code", { title: one.instruction }, one.instruction.split("\n")[0]),
    h("div", { class: "ds-bar-track" }, h("div", { class: `ds-bar-fill ${one.number === step.number ? "ds-bar-here" : ""}`, style: `width:${Math.max(0.5, (100 * size) / most)}%` })),
    `${humanSize(size)}${one.number === step.number ? " ◂" : ""}`,
    one.keyword === "FROM" ? "base image" : humanSize(tar),
  ]);
  return [
    h("p", { class: "ds-total" }, h("strong", {}, humanSize(step.sizes?.image ?? 0)), ` image so far; this step added ${humanSize(step.layer ? step.sizes.added : 0)}${step.layer ? "" : " (no layer)"}.`),
    bars.length > 0 ? grid(["line", "layer", "", "files", "as tar"], rows, "ds-sizes") : h("p", { class: "ds-dim" }, "No layers yet."),
  ];
}

/* ---------------------------------------------------------------- config */

/** Write a config as lines `Field value`, one for each item of a list. */
export function configLines(config) {
  const lines = [];
  for (const [name, value] of Object.entries(config ?? {})) {
    if (name === "Env") for (const pair of value) lines.push(`Env ${pair}`);
    else if (name === "Labels") for (const [key, text] of Object.entries(value)) lines.push(`Labels ${key}=${text}`);
    else if (name === "ExposedPorts" || name === "Volumes") for (const key of Object.keys(value)) lines.push(`${name} ${key}`);
    else lines.push(`${name} ${typeof value === "string" ? value : JSON.stringify(value)}`);
  }
  return lines;
}

function drawConfig(view, step, fields) {
  if (!fields.config_after) return [h("p", { class: "ds-dim" }, "This step has not been taken yet.")];
  const before = configLines(fields.config_before);
  const after = configLines(fields.config_after);
  const minus = before.filter((line) => !after.includes(line)).map((line) => ["-", line]);
  const plus = after.filter((line) => !before.includes(line)).map((line) => ["+", line]);
  const changes = [...minus, ...plus];
  return [
    section("What changed", changes.length ? drawLines(changes) : h("p", { class: "ds-dim" }, "The image's config stayed as it was.")),
    fields.history && section("History entry", h("code", { class: "ds-block" }, fields.history.created_by + (fields.history.empty_layer ? "   (empty layer)" : ""))),
    section("The config after this step", after.length ? plainLines(after.join("\n")) : h("p", { class: "ds-dim" }, "empty")),
  ];
}

/* ---------------------------------------------------------------- output */

function drawOutput(view, step, fields) {
  const parts = [];
  const text = plainOutput((fields.output ?? []).map((piece) => piece.text).join(""));
  if (step.state === "error") parts.push(h("p", { class: "ds-verdict ds-verdict-failed" }, h("strong", {}, "Failed: "), step.error));
  if (text) parts.push(h("pre", { class: "ds-output", tabIndex: 0, role: "region", "aria-label": "Output" }, clipped(text)));
  else parts.push(h("p", { class: "ds-dim" }, step.keyword === "RUN" ? "The command wrote nothing." : `${step.keyword} runs no command, so there is no output.`));
  if (step.state === "cached" && text) parts.unshift(h("p", { class: "ds-dim" }, "Kept from the time when this step was run."));
  const fidelity = fields.fidelity;
  if (fidelity) parts.push(section(`How it was run: ${fidelity.rung}`, h("ul", { class: "ds-notes" }, (fidelity.deviations.length ? fidelity.deviations : ["No known difference from Docker."]).map((text) => h("li", {}, text)))));
  if (fields.notes?.length) parts.push(section("Notes", h("ul", { class: "ds-notes" }, fields.notes.map((text) => h("li", {}, text)))));
  return parts;
}

const clipped = (text) => (text.length > TAIL ? `⋯ the first ${plural(text.length - TAIL, "character")} are left out\n${text.slice(-TAIL)}` : text);

/* ---------------------------------------------------------------- a model without a kernel */

const LIGHT = ["number", "stage", "keyword", "instruction", "expanded", "line", "last_line", "vertex", "cached"];

/**
 * Play a trace: a model that answers from the document alone. Steps show as "not run" until they are stepped over.
 * `contents` has the text of files by their sha256, as far as the page carries it.
 */
export function replay(trace, contents = {}) {
  const listeners = new Map();
  const taken = trace.steps.filter((step) => step.state !== "not-run").length;
  let reached = 0;
  const state = { position: 0, running: 0, notice: "", trace: null };
  const mask = (step, index) => (index < reached ? step : { ...Object.fromEntries(LIGHT.map((name) => [name, step[name]])), state: "not-run" });
  const show = (position) => {
    state.position = Math.max(0, Math.min(position, taken));
    reached = Math.max(reached, state.position);
    state.trace = { ...trace, steps: trace.steps.map(mask) };
    state.notice = position > taken && trace.error ? trace.error.message : "";
    emit("change:trace");
  };
  const emit = (name, value) => (listeners.get(name) ?? []).forEach((listener) => listener(value));
  const commands = {
    next: () => show(state.position + 1),
    back: () => show(Math.max(1, state.position - 1)),
    finish: () => show(taken),
    stop: () => {},
    prepare: () => {},
    run_to: ({ line }) => show(trace.steps.find((step) => step.line <= line && line <= step.last_line)?.number ?? taken),
  };
  const answers = { step: (q) => ({ fields: trace.steps[q.step - 1] }), list: (q) => listOf(trace, q), file: (q) => fileOf(trace, contents, q) };
  show(0);
  return {
    wholePage: true,
    get: (name) => state[name],
    on: (name, listener) => listeners.set(name, [...(listeners.get(name) ?? []), listener]),
    off: (name, listener) => listeners.set(name, (listeners.get(name) ?? []).filter((one) => one !== listener)),
    send: (message) => {
      if (message.do) commands[message.do](message);
      else queueMicrotask(() => emit("msg:custom", { answer: message.id, ...answers[message.ask](message) }));
    },
  };
}

const layouts = new WeakMap();

/** Lay the changes of a step's stage on each other: the whole file system, if the trace has all of them. */
function layout(trace, number) {
  const step = trace.steps[number - 1];
  if (layouts.has(step)) return layouts.get(step);
  const root = { facts: { type: "dir" }, below: new Map() };
  for (const one of trace.steps.slice(0, number).filter((other) => other.stage === step.stage)) {
    if (!one.diff) return null;
    for (const [what, path, , after] of one.diff) {
      const names = path.split("/");
      const last = names.pop();
      let node = root;
      for (const name of names) {
        if (!node.below.has(name)) node.below.set(name, { facts: { type: "dir", mode: "0755", uid: 0, gid: 0, mtime: 0 }, below: new Map() });
        node = node.below.get(name);
      }
      if (what === "deleted") node.below.delete(last);
      else node.below.set(last, { facts: after, below: (after.type === "dir" && node.below.get(last)?.below) || new Map() });
    }
  }
  layouts.set(step, root);
  return root;
}

function listOf(trace, { step, path }) {
  const root = layout(trace, step);
  if (root === null) return { entries: [], problem: "The whole file system is not in this trace, only what the steps changed." };
  let node = root;
  for (const name of path ? path.split("/") : []) node = node?.below.get(name);
  const entries = [...(node?.below ?? [])].map(([name, child]) => [name, child.facts]);
  return { entries: entries.sort(([a], [b]) => (a < b ? -1 : 1)) };
}

function fileOf(trace, contents, { step, path }) {
  const row = trace.steps[step - 1].diff?.find((one) => one[1] === path);
  const at = layout(trace, step);
  const now = path.split("/").reduce((node, name) => node?.below.get(name), at)?.facts;
  const [before, after] = row ? [row[2], row[3]] : [now, now];
  const side = (facts) => {
    if (facts?.type !== "file") return null;
    if (facts.size === 0) return { text: "" };
    if (facts.sha256 in contents) return { text: contents[facts.sha256] };
    return { note: "What is in this file is not in this page: a trace holds digests, not contents." };
  };
  return { before: side(before), after: side(after) };
}

/* ---------------------------------------------------------------- */

export function render({ model, el }) {
  const view = new View(model, el);
  return () => view.forget();
}

export default { render };
