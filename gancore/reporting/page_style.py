"""How a page looks: one style sheet, light and dark, wide and narrow, on screen and on paper."""

SERIES_COUNT = 8
"""Lines of a chart that can be told apart by colour alone, whatever the eye: Okabe and Ito's palette."""

_LIGHT = """
  --paper: #fdfcfa; --ink: #1f1d1a; --quiet: #6d675d; --rule: #e3ded4; --tint: #f4f0e6; --accent: #0b6380;
  --s0: #0072b2; --s1: #d55e00; --s2: #009e73; --s3: #b8528c; --s4: #b87a00; --s5: #2f9bd6;
  --s6: #6d675d; --s7: #1f1d1a;
"""

_DARK = """
  --paper: #171614; --ink: #e8e4da; --quiet: #a09a8d; --rule: #37342e; --tint: #24221e; --accent: #7cc4de;
  --s0: #4aa8e0; --s1: #f0803c; --s2: #2fc79b; --s3: #dc94be; --s4: #e6b34d; --s5: #9ad4f5;
  --s6: #a09a8d; --s7: #e8e4da;
"""

_DASHES = ("none", "7 4", "1.5 4", "9 4 1.5 4")

_SERIES = "\n".join(
    f".s{number} {{ --colour: var(--s{number}); --dash: {_DASHES[number % len(_DASHES)]}; }}"
    for number in range(SERIES_COUNT)
)

PAGE_STYLE = (
    f"""
:root {{ color-scheme: light dark; {_LIGHT} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}
@media print {{ :root {{ color-scheme: light; {_LIGHT} }} }}
{_SERIES}
"""
    + """
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; max-width: 62rem; padding: clamp(1.5rem, 6vw, 4.5rem) clamp(1rem, 5vw, 3rem);
  background: var(--paper); color: var(--ink); overflow-wrap: anywhere;
  font: 1rem/1.6 ui-serif, Charter, "Iowan Old Style", Georgia, "Liberation Serif", serif;
}
table, dl, nav, figure, footer, .note, button, input {
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif;
}
h1 {
  margin: 0; font-size: clamp(1.8rem, 6vw, 2.7rem); font-weight: 500; line-height: 1.15;
  letter-spacing: -.015em;
}
h2 { margin: 0 0 1rem; font-size: 1.35rem; font-weight: 500; line-height: 1.3; }
p { margin: 0 0 .9rem; max-width: 42rem; }
a { color: var(--accent); text-decoration-thickness: 1px; text-underline-offset: .2em; }
.subtitle { margin: .8rem 0 0; color: var(--quiet); font-size: 1.1rem; }
.note { margin: .8rem 0 0; color: var(--quiet); font-size: .85rem; line-height: 1.5; white-space: pre-line; }
nav { margin-top: 1.8rem; font-size: .9rem; }
nav ol { display: flex; flex-wrap: wrap; gap: .35rem 1.4rem; margin: 0; padding: 0; list-style: none; }
section { margin-top: 3.2rem; padding-top: 1.3rem; border-top: 1px solid var(--rule); }
.wide { overflow-x: auto; }
table { border-spacing: 0; font-size: .875rem; line-height: 1.4; font-variant-numeric: tabular-nums; }
th, td {
  padding: .4rem .7rem; text-align: right; vertical-align: baseline; font-weight: 400;
  white-space: nowrap; overflow-wrap: normal;
}
th:first-child { position: sticky; left: 0; padding-left: 0; background: var(--paper); text-align: left; }
tbody th { white-space: normal; min-width: 9rem; max-width: 22rem; }
thead th { min-width: 4.5rem; color: var(--quiet); vertical-align: bottom; white-space: normal; }
thead th, tbody tr:last-child > * { border-bottom: 1px solid var(--ink); }
tbody tr:not(:last-child) > * { border-bottom: 1px solid var(--rule); }
tbody tr:hover > * { background: var(--tint); }
td.best { font-weight: 700; color: var(--accent); }
td.none { color: var(--quiet); }
figure { margin: 0; }
.legend {
  display: flex; flex-wrap: wrap; gap: .3rem 1.3rem; margin: 0 0 .9rem; padding: 0; list-style: none;
  font-size: .85rem;
}
.legend svg { width: 2rem; height: .6rem; margin-right: .5rem; vertical-align: baseline; }
.axis { color: var(--quiet); font-size: .8rem; line-height: 1.2; }
.plot { display: grid; grid-template-columns: auto 1fr; gap: .6rem; margin: .7rem .8rem 0 0; }
.plot svg { width: 100%; height: clamp(13rem, 42vw, 21rem); overflow: visible; }
.up, .across {
  position: relative; color: var(--quiet); font-size: .8rem; line-height: 1;
  font-variant-numeric: tabular-nums;
}
.up span { position: absolute; right: 0; transform: translateY(50%); white-space: nowrap; }
.across { grid-column: 2; height: 1rem; }
.across span { position: absolute; transform: translateX(-50%); white-space: nowrap; }
.across + .axis { grid-column: 2; text-align: center; }
svg path {
  fill: none; stroke: var(--colour); vector-effect: non-scaling-stroke; stroke-linejoin: round;
  stroke-linecap: round;
}
svg .grid { stroke: var(--rule); stroke-width: 1; }
svg .line { stroke-width: 2; stroke-dasharray: var(--dash); }
svg .dot { stroke-width: 5; }
svg .dot:hover { stroke-width: 10; }
svg .many .dot:not(:hover) { opacity: 0; }
.gallery {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, max(7rem, var(--shape) * 8rem)), 1fr));
  gap: 1.3rem 1rem; align-items: end;
}
img { display: block; width: 100%; height: auto; image-rendering: pixelated; background: var(--tint); }
figcaption { margin-top: .4rem; color: var(--quiet); font-size: .8rem; line-height: 1.4; white-space: pre-line; }
dl {
  display: grid; grid-template-columns: minmax(6rem, auto) 1fr; gap: .3rem 1.5rem; margin: 0;
  font-size: .875rem; line-height: 1.5;
}
dt { color: var(--quiet); max-width: 18rem; }
dd { margin: 0; min-width: 0; }
dd dl { grid-template-columns: minmax(5rem, auto) 1fr; font-size: inherit; }
footer { margin-top: 4rem; color: var(--quiet); font-size: .8rem; }
@media (max-width: 34rem) {
  dl, dd dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .5rem; }
  dd dl { padding-left: 1rem; border-left: 1px solid var(--rule); }
}
@media print {
  @page { margin: 16mm; }
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  nav { display: none; }
  section { break-inside: auto; margin-top: 1.6rem; }
  h2 { break-after: avoid; }
  tr, figure, .plot { break-inside: avoid; }
  .wide { overflow: visible; }
  table { font-size: .7rem; }
  th, td { padding: .3rem .25rem; }
  thead th { min-width: 0; }
  tbody th { min-width: 5rem; }
}
"""
)
