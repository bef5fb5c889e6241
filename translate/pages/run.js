"use strict";
// One attempt at a time; without this script all of them stand below each other.
// The address names the attempt: #attempt-3.

const attempts = [...document.querySelectorAll("article.attempt")];
const links = [...document.querySelectorAll(".strip a")];
const buttons = {};
for (const element of document.querySelectorAll("[data-do]")) {
  buttons[element.dataset.do] = element;
}
const isFailure = (attempt) => attempt.dataset.failed === "yes";
let current = 0;

function show(index) {
  current = Math.max(0, Math.min(attempts.length - 1, index));
  attempts.forEach((attempt, i) => attempt.classList.toggle("shown", i === current));
  links.forEach((link, i) => {
    if (i === current) link.setAttribute("aria-current", "step");
    else link.removeAttribute("aria-current");
  });
  buttons.previous.disabled = current === 0;
  buttons.next.disabled = current === attempts.length - 1;
  document.querySelector(".status").textContent = `attempt ${current + 1} of ${attempts.length}`;
}

function go(index) {
  show(index);
  history.replaceState(null, "", `#${attempts[current].id}`);
}

function goToFailure() {
  const ahead = attempts.findIndex((attempt, i) => i > current && isFailure(attempt));
  go(ahead >= 0 ? ahead : attempts.findIndex(isFailure));
}

function followAddress() {
  const named = attempts.findIndex((attempt) => `#${attempt.id}` === location.hash);
  show(named >= 0 ? named : current);
}

function onKey(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const actions = {
    ArrowLeft: () => go(current - 1),
    ArrowRight: () => go(current + 1),
    f: () => buttons.failure.disabled || goToFailure(),
  };
  if (!(event.key in actions)) return;
  event.preventDefault();
  actions[event.key]();
}

if (attempts.length) {
  document.body.classList.add("stepping");
  buttons.previous.onclick = () => go(current - 1);
  buttons.next.onclick = () => go(current + 1);
  buttons.failure.onclick = goToFailure;
  buttons.failure.disabled = !attempts.some(isFailure);
  window.addEventListener("hashchange", followAddress);
  document.addEventListener("keydown", onKey);
  followAddress();
}
