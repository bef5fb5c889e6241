"use strict";
// One turn at a time; without this script all of them stand below each other.
// The address names the turn: #turn-3.

const SECONDS_A_TURN = 1.5;
const turns = [...document.querySelectorAll("article.turn")];
const slider = document.querySelector(".controls input");
const buttons = {};
for (const element of document.querySelectorAll("[data-do]")) {
  buttons[element.dataset.do] = element;
}
let current = 0;
let timer = null;

function show(index) {
  current = Math.max(0, Math.min(turns.length - 1, index));
  turns.forEach((turn, i) => turn.classList.toggle("shown", i === current));
  slider.value = current;
  slider.setAttribute("aria-valuetext", turns[current].querySelector("h2").textContent);
  buttons.previous.disabled = current === 0;
  buttons.next.disabled = current === turns.length - 1;
  document.querySelector(".controls .status").textContent = `${current} of ${turns.length - 1}`;
}

function pause() {
  clearInterval(timer);
  timer = null;
  buttons.play.textContent = "▶ Play";
}

function go(index) {
  pause();
  show(index);
  history.replaceState(null, "", `#${turns[current].id}`);
}

function play() {
  if (timer !== null) {
    go(current);
    return;
  }
  if (current === turns.length - 1) show(0);
  buttons.play.textContent = "❚❚ Pause";
  timer = setInterval(() => {
    show(current + 1);
    if (current === turns.length - 1) go(current);
  }, 1000 * SECONDS_A_TURN);
}

function followAddress() {
  pause();
  const named = turns.findIndex((turn) => `#${turn.id}` === location.hash);
  show(named >= 0 ? named : current);
}

function onKey(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const actions = { ArrowLeft: () => go(current - 1), ArrowRight: () => go(current + 1), p: play };
  if (!(event.key in actions)) return;
  event.preventDefault();
  actions[event.key]();
}

document.body.classList.add("stepping");
buttons.previous.onclick = () => go(current - 1);
buttons.next.onclick = () => go(current + 1);
buttons.play.onclick = play;
slider.oninput = () => go(Number(slider.value));
window.addEventListener("hashchange", followAddress);
document.addEventListener("keydown", onKey);
followAddress();
