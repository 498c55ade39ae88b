/**
 * The registry's page: the log that goes on by itself, and the list of repositories that follows it.
 *
 * All words come from the server, as rows of cells; here they only become text of a table, never markup. Without this
 * script the page works as well: it then shows what there was when it was loaded.
 *
 * A browser opens six connections to a server at a time. So of all open pages one holds the stream, and tells the
 * others (Web Locks, BroadcastChannel); when it is closed the next one takes over. Requests are numbered without gaps:
 * who finds one missing asks for what is kept.
 */

const ROWS = 100; // rows of the log; older ones go
const WAITING = 1000; // requests that are kept while the log is paused
const SOON = 400; // milliseconds after a change until the repositories are looked at again
const APART = 2000; // milliseconds between two such looks: where a class pushes, something changes all the time
const SPREAD = 500; // milliseconds over which pages that hear of the same change spread
const TOLD = 1500; // milliseconds between two announcements: a push makes dozens of requests

/** Make a row of a request's cells. */
function row(message) {
  const made = document.createElement("tr");
  made.setAttribute("role", "row"); // where it is narrow the style sheet makes a list of the table
  for (const text of message.cells) {
    const cell = document.createElement("td");
    cell.setAttribute("role", "cell");
    cell.textContent = text;
    made.append(cell);
  }
  return made;
}

class Log {
  constructor(body) {
    this.body = body;
    this.box = document.getElementById("log");
    this.status = document.getElementById("log-status");
    this.pause = document.getElementById("log-pause");
    this.run = body.dataset.run;
    this.number = Number(body.dataset.number);
    this.waiting = []; // what came while the log was paused
    this.queued = []; // what came while something missing was asked for
    this.asking = false;
    this.news = 0;
    this.pause.hidden = false;
    this.pause.addEventListener("click", () => this.toggle());
    this.box.scrollTop = this.box.scrollHeight;
    this.say("Live.");
  }

  get paused() {
    return this.pause.getAttribute("aria-pressed") === "true";
  }

  get place() {
    return new URLSearchParams({ run: this.run, after: String(this.number) });
  }

  /** Take one request in; what has been seen is passed over, what is missing is asked for. */
  take(message) {
    if (message.run !== this.run) {
      this.run = message.run; // another process serves now, and counts from one
      this.number = 0;
    }
    if (this.asking) this.queued.push(message);
    else if (message.number > this.number + 1) {
      this.queued.push(message);
      this.catchUp();
    } else this.accept(message);
  }

  /** Ask for what is kept of what is missing; what comes meanwhile has its turn afterwards. */
  async catchUp() {
    this.asking = true;
    let missed = [];
    try {
      const answer = await fetch(`requests?${this.place}`);
      if (answer.ok) missed = (await answer.json()).requests;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // the registry does not answer now; the stream comes back
    }
    this.asking = false;
    for (const message of [...missed, ...this.queued.splice(0)]) this.accept(message);
  }

  accept(message) {
    if (message.run === this.run && message.number <= this.number) return;
    this.run = message.run;
    this.number = message.number;
    if (message.changes) changed();
    if (this.paused) this.keep(message);
    else this.show(message);
  }

  show(message) {
    const follows = this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 40;
    this.body.append(row(message));
    while (this.body.rows.length > ROWS) this.body.rows[0].remove();
    if (follows) this.box.scrollTop = this.box.scrollHeight;
    this.news += 1;
    this.latest = message;
    this.timer ??= setTimeout(() => this.tell(), TOLD);
  }

  /** Say how much has come: one sentence for many requests, so that a screen reader can keep up. */
  tell() {
    this.timer = undefined;
    if (this.paused || !this.latest) return;
    const count = this.news === 1 ? "1 new request" : `${this.news} new requests`;
    this.news = 0;
    this.say(`Live. ${count}; the latest: ${this.latest.cells[1]}: ${this.latest.cells[2]}.`);
  }

  keep(message) {
    this.waiting.push(message);
    if (this.waiting.length > WAITING) this.waiting.shift();
    this.say(`Paused. ${this.waiting.length === 1 ? "1 request is" : `${this.waiting.length} requests are`} waiting.`);
  }

  toggle() {
    const paused = !this.paused;
    this.pause.setAttribute("aria-pressed", String(paused));
    this.say(paused ? "Paused." : "Live.");
    if (paused) return;
    for (const message of this.waiting.splice(0)) this.show(message);
  }

  say(text) {
    this.status.textContent = text;
  }
}

/** Hold the stream until the page is closed, and pass on what comes. */
function stream(log, channel) {
  return new Promise(() => {
    const source = new EventSource(`events?${log.place}`);
    source.onmessage = (event) => {
      const message = JSON.parse(event.data);
      channel?.postMessage(message);
      log.take(message);
    };
    source.onerror = () => {
      const refused = source.readyState === EventSource.CLOSED;
      const words = refused ? "Too many pages are open; reload this later." : "The registry does not answer; trying again.";
      log.say(log.paused ? "Paused." : words);
    };
    source.onopen = () => {
      if (!log.paused) log.say("Live.");
    };
  });
}

function follow(log) {
  const here = `dockersim ${new URL(".", location.href).href}`;
  if (!navigator.locks || !window.BroadcastChannel) return stream(log, null); // not a secure context
  const channel = new BroadcastChannel(here);
  channel.onmessage = (event) => log.take(event.data);
  log.catchUp();
  return navigator.locks.request(here, () => stream(log, channel));
}

/* ---------------------------------------------------------------- the repositories */

let waiting;
let looked = -APART;

/** Look at the repositories again before long, once for all that changes until then. */
function changed() {
  const wait = Math.max(SOON, looked + APART - performance.now()) + Math.random() * SPREAD;
  waiting ??= setTimeout(refresh, wait);
}

/** Show the repositories as they are now, but never under the reader's fingers, nor where nobody sees them. */
async function refresh() {
  waiting = undefined;
  if (document.hidden) {
    document.addEventListener("visibilitychange", changed, { once: true });
    return;
  }
  const old = document.getElementById("repositories");
  if (!old) return;
  if (old.contains(document.activeElement)) {
    old.addEventListener("focusout", changed, { once: true });
    return;
  }
  looked = performance.now();
  const answer = await fetch("repositories");
  if (!answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("repositories");
  if (fresh) old.replaceWith(document.adoptNode(fresh));
}

const body = document.getElementById("log-rows");
if (body) follow(new Log(body));
// The key in the address has done its work when the page is there; it should not be copied with the address.
if (new URLSearchParams(location.search).has("key")) history.replaceState(null, "", location.pathname);
