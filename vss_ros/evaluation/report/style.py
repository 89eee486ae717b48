"""How a page looks, light or dark, on a phone or a desk; and the one thing in it that moves."""

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1b1d20;
  --soft: #5b6067; --line: #d9dce0; --grid: #d2d3d4;
  --card: #f5f6f8; --mark: #0b63a5; --good: #00664a; --bad: #a83b00; }
@media (prefers-color-scheme: dark) { :root { --ground: #14161a; --ink: #e8eaed;
  --soft: #a6acb4; --line: #3a3f46; --grid: #373b41; --card: #1e2126;
  --mark: #6db7f0; --good: #4fc79c; --bad: #ff9b66; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p { margin: .4rem 0; }
code { font-family: ui-monospace, monospace; font-size: .85em; background: var(--card); padding: .1em .3em;
  border-radius: 3px; }
.soft, figcaption { color: var(--soft); font-size: .875rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(18rem, 100%), 1fr)); gap: .8rem; }
.card { background: var(--card); border-left: 4px solid var(--mark);
  border-radius: 4px; padding: .7rem .9rem; }
.card h3 { margin: 0; font-size: .875rem; font-weight: 600; color: var(--soft); }
.card .answer { font-size: 1.2rem; font-weight: 700; }
.notice { border-left: 4px solid var(--bad); background: var(--card);
  padding: .5rem .9rem; border-radius: 4px; }
.wide { overflow-x: auto; -webkit-overflow-scrolling: touch; }
.wide:focus-visible { outline: 2px solid var(--mark); }
table { border-collapse: collapse; font-size: .8125rem;
  font-variant-numeric: tabular-nums; overflow-wrap: normal; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
th, td { padding: .3rem .45rem; text-align: right;
  border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
thead th { vertical-align: bottom; font-weight: 600; }
thead th small { display: block; font-weight: 400; color: var(--soft); }
tbody th { font-weight: 400; text-align: left; position: sticky; left: 0; background: var(--ground);
  min-width: 9rem; max-width: 16rem; white-space: normal; overflow-wrap: anywhere; }
td, thead th { min-width: 3.6rem; } thead th { white-space: normal; }
.command code { background: none; padding: 0; } .command span { white-space: nowrap; }
td.text { text-align: left; white-space: normal; min-width: 8rem; }
th button { all: unset; cursor: pointer; display: block; width: 100%; }
th button:focus-visible { outline: 2px solid var(--mark); }
th[aria-sort=ascending] button::after { content: ' \\25B2'; }
th[aria-sort=descending] button::after { content: ' \\25BC'; }
td .soft { font-size: inherit; }
.badge { display: inline-block; border: 1px solid currentColor; border-radius: 1em;
  padding: 0 .5em; margin-left: .35em;
  font-size: .75rem; color: var(--mark); white-space: nowrap; }
.better { color: var(--good); font-weight: 600; }
.worse { color: var(--bad); font-weight: 600; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr)); gap: 1.2rem; }
figure { margin: 0; min-width: 0; }
figure svg { display: block; width: 100%; height: auto; max-width: 42rem; }
figure.long { overflow-x: auto; }
figure.long svg { min-width: 44rem; max-width: none; }
.frame { margin: 1rem 0; }
.three { display: grid; grid-template-columns: repeat(3, minmax(11rem, 1fr)); gap: .4rem; overflow-x: auto; }
.three img { width: 100%; height: auto; display: block; }
.legend { display: flex; flex-wrap: wrap;
  gap: .2rem .9rem; font-size: .875rem; padding: 0; list-style: none; }
.legend svg { width: .9em; height: .9em;
  vertical-align: -.1em; margin-right: .35em; border: 1px solid var(--line); }
dl { display: grid; grid-template-columns: auto 1fr; gap: .2rem .9rem; margin: .5rem 0; font-size: .875rem; }
dt { font-weight: 600; } dd { margin: 0; }
summary { cursor: pointer; }
"""
SORT = """
for (const button of document.querySelectorAll('th button')) {
  button.addEventListener('click', () => {
    const head = button.closest('th'), body = head.closest('table').tBodies[0];
    const column = [...head.parentNode.children].indexOf(head);
    const rising = head.getAttribute('aria-sort') !== 'ascending';
    const value = row => row.children[column].dataset.value ?? '';
    const order = (a, b) => {
      const x = value(a), y = value(b);
      if (x === '' || y === '') return (x === '') - (y === '');
      return (rising ? 1 : -1) * (Number(x) - Number(y));
    };
    for (const other of head.parentNode.children) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', rising ? 'ascending' : 'descending');
    body.append(...[...body.rows].sort(order));
  });
}
"""
"""Sorts a table by the column whose head was clicked; what has no figure goes last."""
