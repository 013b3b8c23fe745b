"use strict";
// Shows the pairs one by one and keeps the answers in the browser until they are saved as a file.
const page = document.querySelector("main").dataset.page, place = `rating ${page}`;
const pairs = [...document.querySelectorAll(".pair")], rater = document.querySelector("#rater");
const one = selector => document.querySelector(selector);
let state = {page, rater: "", answers: {}}, current = 0;

function restore() {
  try { state = JSON.parse(localStorage.getItem(place)) ?? state; } catch { /* kept nowhere: go on without */ }
  const open = pairs.findIndex((_, number) => !(number in state.answers));
  current = open < 0 ? pairs.length : open;
  rater.value = state.rater;
}

function keep() {
  try { localStorage.setItem(place, JSON.stringify(state)); } catch { /* as above */ }
}

function show() {
  pairs.forEach((pair, number) => { pair.hidden = number !== current; });
  one(".end").hidden = current < pairs.length;
  one("#back").disabled = current === 0;
  const tie = one(".buttons [data-choice]");
  tie.hidden = current === pairs.length;
  const buttons = current < pairs.length ? [...pairs[current].querySelectorAll("button"), tie] : [];
  buttons.forEach(button => button.classList.toggle("chosen", button.dataset.choice === state.answers[current]));
  const done = Object.keys(state.answers).length;
  one("progress").value = done;
  one("output").textContent = `${done} of ${pairs.length}`;
}

function choose(choice) {
  if (current === pairs.length) return;
  state.answers[current] = choice;
  keep();
  current += 1;
  show();
}

function back() {
  current = Math.max(current - 1, 0);
  show();
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(state, null, 2) + "\n"], {type: "application/json"}));
  link.download = "answers.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function listen() {
  document.querySelectorAll("[data-choice]").forEach(button => {
    button.addEventListener("click", () => { choose(button.dataset.choice); button.blur(); });
  });
  one("#back").addEventListener("click", back);
  one("#save").addEventListener("click", save);
  rater.addEventListener("input", () => { state.rater = rater.value.trim(); keep(); });
  document.addEventListener("keydown", event => {
    if (event.target === rater || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const choice = {1: "left", 2: "right", 0: "tie"}[event.key];
    if (choice) choose(choice);
    if (event.key === "Backspace" || event.key === "ArrowLeft") back();
  });
}

// Chromium may give a file that asks before it is painted an empty localStorage, and lose what is put there.
requestAnimationFrame(() => requestAnimationFrame(() => { restore(); listen(); show(); }));
