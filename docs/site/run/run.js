"use strict";

const stories = JSON.parse(document.getElementById("runs").textContent);
const byId = (id) => document.getElementById(id);
let story = stories[0];
let at = 0;

function element(name, text, kind = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = kind;
  return made;
}

/* A value under its name; whatever differs from the step before says so, in words as well as in colour. */
function value(name, text, kind, before) {
  const isNew = before !== undefined && before !== text;
  const heading = element("h3", name);
  if (isNew) heading.append(element("span", "new", "tag"));
  return [heading, element("pre", text || "none", `${text ? kind : "none"}${isNew ? " new" : ""}`)];
}

function labels(wallet) {
  if (wallet === null) return "";
  const lines = Object.entries(wallet.labels ?? {}).map(([transaction, label]) => `${transaction}  ${label}`);
  return lines.join("\n") || "{} an empty wallet";
}

function showDevice(name, now, before) {
  const parts = [
    ["Wallet, in plaintext", (each) => labels(each.document), "plain"],
    ["Sequence", (each) => String(each.sequence), ""],
    ["Merge base", (each) => labels(each.base), "plain"],
    ["Edits not sent yet", (each) => (each.edits ? "yes" : "no"), ""],
  ];
  byId(name).querySelector(".has").replaceChildren(
    ...parts.flatMap(([title, read, kind]) => value(title, read(now), kind, before && read(before))),
  );
}

function showServer(now, before) {
  const parts = [
    ["Wallet, in ciphertext", (each) => each.ciphertext && `…${each.ciphertext}`, "cipher"],
    ["Sequence", (each) => String(each.sequence), ""],
    ["HMAC", (each) => each.hmac && `${each.hmac}…`, "cipher"],
  ];
  byId("server").querySelector(".has").replaceChildren(
    ...parts.flatMap(([title, read, kind]) => value(title, read(now), kind, before && read(before))),
  );
}

function message(title, wallet) {
  const made = element("div", "", "message");
  made.append(element("p", title));
  if (wallet) {
    made.append(...value(`Ciphertext of ${wallet.length} characters`, `…${wallet.ciphertext}`, "cipher"));
    made.append(...value("Sequence, HMAC", `${wallet.sequence}, ${wallet.hmac}…`, ""));
  }
  return made;
}

function showWire(step) {
  const messages = step.wire.flatMap((each) => [
    message(`${step.actor} → server: ${each.asked}`, each.sent),
    message(`server → ${step.actor}: ${each.status} ${each.reason}`, each.answer),
  ]);
  byId("wire").querySelector(".has").replaceChildren(
    ...(messages.length ? messages : [element("p", "Nothing passes in this step.", "none")]),
  );
}

function show() {
  const step = story.steps[at];
  const before = story.steps[at - 1];
  byId("place").textContent = `Step ${at + 1} of ${story.steps.length}`;
  byId("said").textContent = step.said;
  byId("error").hidden = !step.error;
  byId("error").replaceChildren(
    ...(step.error ? [element("strong", `The ${step.actor} says: ${step.error.name}`), element("p", step.error.text)] : []),
  );
  showDevice("laptop", step.laptop, before?.laptop);
  showDevice("phone", step.phone, before?.phone);
  showServer(step.server, before?.server);
  showWire(step);
  for (const name of ["laptop", "phone", "server"]) byId(name).classList.toggle("acts", step.actor === name);
  for (const [name, isEnd] of [["first", at === 0], ["back", at === 0], ["next", isLast()], ["last", isLast()]]) {
    byId(name).setAttribute("aria-disabled", isEnd); // not `disabled`, which would take the keyboard's focus away
  }
  for (const button of byId("stories").children) button.setAttribute("aria-pressed", button.value === story.name);
  byId("said").scrollIntoView({ block: "nearest" });
  history.replaceState(null, "", `#${story.name}-${at + 1}`);
}

function isLast() {
  return at === story.steps.length - 1;
}

function go(to) {
  const kept = Math.min(Math.max(to, 0), story.steps.length - 1);
  if (kept === at) return;
  at = kept;
  show();
}

function tell(name, step = 1) {
  story = stories.find((each) => each.name === name) ?? stories[0];
  at = Math.min(Math.max(step, 1), story.steps.length) - 1;
  show();
}

/* The site keeps what its reader chose, light or dark, in this browser. */
function asOnTheSite() {
  const chosen = localStorage.getItem("theme");
  document.documentElement.style.colorScheme = ["light", "dark"].includes(chosen) ? chosen : "";
}

const moves = {
  ArrowLeft: () => go(at - 1),
  ArrowRight: () => go(at + 1),
  Home: () => go(0),
  End: () => go(Infinity),
};
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || !moves[event.key]) return;
  event.preventDefault();
  moves[event.key]();
});
for (const [id, key] of [["first", "Home"], ["back", "ArrowLeft"], ["next", "ArrowRight"], ["last", "End"]]) {
  byId(id).addEventListener("click", moves[key]);
}
for (const each of stories) {
  const button = element("button", each.title);
  button.type = "button";
  button.value = each.name;
  button.addEventListener("click", () => tell(each.name));
  byId("stories").append(button);
}
addEventListener("storage", asOnTheSite);
const [name, step] = location.hash.slice(1).split("-");
tell(name, Number(step) || 1);
asOnTheSite(); // last, since a browser that keeps nothing for this page throws here
