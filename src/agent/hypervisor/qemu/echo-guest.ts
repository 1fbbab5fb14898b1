/**
 * A guest of 88 bytes for tests: writes '!', echoes its serial port, and powers itself off when the power button is pressed.
 * echo-guest.S assembled: as -o echo.o echo-guest.S && ld -Ttext=0x100000 --oformat binary -o echo.bin echo.o.
 */
export const echoGuest = Buffer.from(
  'ArCtGwAAAQD+T1HkAAAQAAAAEABYABAAWAAQACAAEABmugIGZrgAAWbvZrr4A7Ah7ma6AAZm7WapAAF0Cma6BAZmuAAgZu9muv0D' +
    '7KgBdOFmuvgD7O7r2Q==',
  'base64',
)
