"""How a page of blind pairs looks and works."""

PREFERENCE_BODY = """
<header>
  <h1>{question}</h1>
  <p class="subtitle">Choose by a click, or by the keys 1, 2, and 0 where you see no difference. Backspace goes back.
  Your answers stay in this browser until you save them.</p>
</header>
<noscript><p>This page needs JavaScript.</p></noscript>
<main>
  <p class="progress"><progress max="{count}" value="0"></progress><output></output></p>
  {pairs}
  <section class="end" hidden><h2>Thank you.</h2><p>Save your answers and send the file back.</p></section>
  <p class="buttons">
    <button data-choice="tie">No difference <kbd>0</kbd></button>
    <button id="back">Back</button>
  </p>
</main>
<footer>
  <label>Your name, if you like <input id="rater" maxlength="60" autocomplete="off"></label>
  <button id="save">Save answers</button>
</footer>
"""

PREFERENCE_STYLE = """
body { max-width: 76rem; padding-top: 1.5rem; }
h1 { font-size: clamp(1.4rem, 4vw, 2rem); }
.subtitle { font-size: .95rem; }
.progress { display: flex; align-items: center; gap: 1rem; max-width: none; margin: 1.2rem 0; color: var(--quiet); }
.progress output { font-variant-numeric: tabular-nums; white-space: nowrap; }
progress { flex: 1; height: .3rem; appearance: none; border: 0; background: var(--rule); }
progress::-webkit-progress-bar { background: var(--rule); }
progress::-webkit-progress-value { background: var(--accent); }
progress::-moz-progress-bar { background: var(--accent); }
section { margin: 0; padding: 0; border: 0; }
.pair:not([hidden]) { display: grid; grid-template-columns: 1fr 1fr; gap: clamp(.5rem, 2vw, 1.5rem); }
.pair img { margin: auto; max-height: 62vh; object-fit: contain; }
button {
  padding: .55rem 1.1rem; border: 1px solid var(--rule); border-radius: .35rem;
  background: var(--paper); color: var(--ink); font-size: .95rem; cursor: pointer;
}
button:hover, button:focus-visible { border-color: var(--accent); outline: none; }
button.chosen { border-color: var(--accent); box-shadow: 0 0 0 1px var(--accent); }
button:disabled { opacity: .4; cursor: default; }
.pair button { display: flex; flex-direction: column; gap: .6rem; min-width: 0; padding: clamp(.3rem, 1vw, .8rem); }
kbd {
  padding: 0 .4rem; border: 1px solid var(--rule); border-radius: .2rem; color: var(--quiet);
  font: .8rem/1.5 ui-monospace, "Liberation Mono", monospace;
}
.pair kbd { align-self: center; }
.buttons { display: flex; justify-content: center; gap: .8rem; max-width: none; margin: 1.2rem 0; }
footer {
  display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 1rem; margin-top: 2rem;
}
input {
  padding: .45rem .6rem; border: 1px solid var(--rule); border-radius: .35rem; background: var(--paper);
  color: var(--ink); font-size: .95rem;
}
"""

PREFERENCE_SCRIPT = """
"use strict";
const page = "PAGE", place = `rating ${page}`;
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
  link.href = URL.createObjectURL(new Blob([JSON.stringify(state, null, 2) + "\\n"], {type: "application/json"}));
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
"""
