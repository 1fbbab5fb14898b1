/**
 * probe-guest.S assembled: as -o probe.o probe-guest.S && ld -Ttext=0x100000 --oformat binary -o probe.bin probe.o. QEMU loads it
 * as a multiboot kernel.
 */
export const probeGuest = Buffer.from(
  'ArCtGwAAAQD+T1HkAAAQAAAAEACGARAAhgEQAEgAEAAAAAAAAAAAAP//AAAAmq8A//8AAACSzwAXACAAEAAPAgAAIQAAAAAAvACA' +
    'EAC/AAAgALkAUAAAMcDzq8cFAAAgAAMQIADHBQAQIAADICAAvwAgIAC4gwAAALkAAgAAiQfHRwQAAAAABQAAIACDxwji7bgAACAA' +
    'DyLYDyDgg8ggDyLguYAAAMAPMg0AAQAADzAPIMANAAAAgA8iwA8BFTgAEADqyQAQAAgAuBAAAACO2I7AjtC/AAAhALmEAAAAMcDz' +
    'q7h8ARAAvwACIQBmiQdmx0cCCABmx0cEAI7B6BBmiUcGDwEcJT4AEAC/AABAALkAAAACMcDzqr8AAEAAuQAgAAD/Bw8BP/8HgccA' +
    'EAAA4vGwEeYg5qCwIOYhsCjmobAE5iGwAuahsAHmIeahsP7mIbD/5qGwNOZDsKnmQLAE5kAx2/v0McBTD6JbDzGD+xRy8rAQZroB' +
    'Be706/3/w1CwIOYgWEjP',
  'base64',
)
