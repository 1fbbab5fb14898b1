/**
 * A guest of 135 bytes for tests: writes '!', echoes its serial port, tells the byte before it when it reads '?' (which shows whether its
 * memory was kept), lets go of disks that are to be pulled out, and powers itself off when the power button is pressed.
 * echo-guest.S assembled: as --32 -o echo.o echo-guest.S && ld -m elf_i386 -Ttext=0x100000 --oformat binary -o echo.bin echo.o.
 */
export const echoGuest = Buffer.from(
  'ArCtGwAAAQD+T1HkAAAQAAAAEACHABAAhwAQACAAEABmugIGZrgAAWbvZrr4A7Ah7ma6AAZm7WapAAF0Cma6BAZmuAAgZu+5BwAAAInIZrrQDO' +
    '9musQM7YXAdAVmusgM70l56Ga6/QPsqAF0xGa6+APsPD90CKKGABAA7uuzoIYAEADu66st',
  'base64',
)
