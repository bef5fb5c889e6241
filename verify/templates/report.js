"use strict";
// The step viewers. Position 0 is the start, position k what both sides are after the k-th action.
// The address names a step: #step=17, or #viewer=sample-2&step=17.

const data = JSON.parse(document.getElementById("data").textContent);
const viewers = [];
let active = null;

class Viewer {
  constructor(section) {
    this.section = section;
    this.data = data.viewers[section.id];
    this.different = new Set(this.data.different);
    this.fields = this.data.fields.map((field) => ({ ...field, differs: new Set(field.differs) }));
    this.slider = section.querySelector("input[type=range]");
    this.images = [...section.querySelectorAll("img[data-side]")];
    this.buttons = {};
    for (const element of section.querySelectorAll("[data-do]")) {
      this.buttons[element.dataset.do] = element;
    }
    this.position = 0;
    this.timer = null;
    this.rows = this.fields.map((field) => this.addRow(field));
    this.addMarks();
    this.buttons.difference.disabled = this.different.size === 0;
    this.buttons.previous.onclick = () => this.go(this.position - 1);
    this.buttons.next.onclick = () => this.go(this.position + 1);
    this.buttons.play.onclick = () => (this.timer === null ? this.play() : this.pause());
    this.buttons.difference.onclick = () => this.goToDifference();
    this.buttons.speed.onchange = () => this.timer !== null && this.play();
    this.slider.oninput = () => this.go(Number(this.slider.value));
    for (const event of ["pointerdown", "focusin"]) {
      section.addEventListener(event, () => (active = this));
    }
    this.show(this.different.size ? this.data.different[0] + 1 : 0);
  }

  addRow(field) {
    const row = this.section.querySelector(".fields tbody").insertRow();
    const name = document.createElement("th");
    name.scope = "row";
    name.textContent = field.name;
    row.append(name);
    for (const side of ["reference", "ours"]) {
      const cell = row.insertCell();
      cell.className = "value";
      cell.dataset.side = side;
    }
    row.dataset.field = field.name;
    return row;
  }

  addMarks() {
    const marks = this.section.querySelector(".marks");
    for (const step of this.different) {
      const mark = document.createElement("i");
      mark.style.left = `${(100 * (step + 1)) / this.data.steps}%`;
      marks.append(mark);
    }
  }

  // -- what is shown

  show(position) {
    this.position = Math.max(0, Math.min(this.data.steps, position));
    const step = this.position - 1;
    const differs = this.different.has(step);
    const when = step < 0 ? "Start" : `After step ${this.position} of ${this.data.steps}`;
    this.section.classList.toggle("apart", differs);
    this.section.dataset.step = this.position;
    this.slider.value = this.position;
    this.slider.setAttribute("aria-valuetext", when);
    this.buttons.previous.disabled = this.position === 0;
    this.buttons.next.disabled = this.position === this.data.steps;
    this.write(".step", when);
    this.write(".inputs", step < 0 ? "" : this.inputs(step));
    const count = this.fields.filter((field) => field.differs.has(step)).length;
    const start = this.data.alike ? "both sides start alike" : "the sides start apart";
    const agreement = differs ? `${count} field${count > 1 ? "s" : ""} differ` : "all fields agree";
    this.write(".agreement", step < 0 ? start : agreement);
    this.fields.forEach((field, i) => this.fill(this.rows[i], field, step));
    this.images.forEach((image) => {
      const side = Number(image.dataset.side);
      image.src = data.pictures[this.data.pictures[side][this.position]];
      image.alt = `${side ? "Ours" : "Reference"}, ${when.toLowerCase()}`;
    });
  }

  inputs(step) {
    const draws = this.data.draws[step];
    return `action ${this.data.actions[step]}` + (draws ? ` · draws ${draws}` : "");
  }

  fill(row, field, step) {
    const [, theirs, ours] = row.cells;
    const value = step < 0 ? field.start : field.reference[step];
    theirs.textContent = value;
    ours.textContent = step < 0 ? "" : (field.ours[step] ?? value);
    const before = step < 1 ? field.start : field.reference[step - 1];
    row.classList.toggle("differs", field.differs.has(step));
    row.classList.toggle("moved", step >= 0 && value !== before);
  }

  write(selector, text) {
    this.section.querySelector(selector).textContent = text;
  }

  // -- what one can do

  go(position) {
    this.pause();
    this.show(position);
    this.remember();
  }

  goToDifference() {
    const ahead = this.data.different.find((step) => step + 1 > this.position);
    this.go((ahead ?? this.data.different[0]) + 1);
  }

  play() {
    clearInterval(this.timer);
    if (this.position === this.data.steps) this.show(0);
    this.label("❚❚ Pause", "off");
    this.timer = setInterval(() => {
      this.show(this.position + 1);
      if (this.position === this.data.steps) this.go(this.position);
    }, 1000 / Number(this.buttons.speed.value));
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.label("▶ Play", "polite");
  }

  label(text, live) {
    this.buttons.play.textContent = text;
    // Nobody wants thirty steps a second read aloud.
    this.section.querySelector(".status").setAttribute("aria-live", live);
  }

  remember() {
    history.replaceState(null, "", `#viewer=${this.section.id}&step=${this.position}`);
  }
}

function followAddress() {
  const address = new URLSearchParams(location.hash.slice(1));
  if (!address.has("step")) return;
  const named = viewers.find((viewer) => viewer.section.id === address.get("viewer"));
  active = named ?? viewers[0] ?? null;
  if (active === null) return;
  active.pause();
  active.show(Number.parseInt(address.get("step"), 10) || 0);
  if (named) named.section.scrollIntoView({ block: "start" });
}

function onKey(event) {
  if (active === null || event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.target.closest("select, input, textarea")) return;
  const actions = {
    ArrowLeft: () => active.go(active.position - 1),
    ArrowRight: () => active.go(active.position + 1),
    Home: () => active.go(0),
    End: () => active.go(active.data.steps),
    d: () => active.different.size && active.goToDifference(),
    " ": () => active.buttons.play.click(),
  };
  const onControl = event.target.closest("button, summary, a");
  // Home and End scroll the page unless a viewer has the focus; space presses the focused control.
  if (["Home", "End"].includes(event.key) && !event.target.closest(".viewer")) return;
  if (!(event.key in actions) || (event.key === " " && onControl)) return;
  event.preventDefault();
  actions[event.key]();
}

for (const section of document.querySelectorAll(".viewer")) viewers.push(new Viewer(section));
active = viewers[0] ?? null;
window.addEventListener("hashchange", followAddress);
document.addEventListener("keydown", onKey);
followAddress();
