// Sorts a table by the column whose head was clicked; rows without a figure go last.
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
