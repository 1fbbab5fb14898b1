/* A guest of 100 bytes: echoes its serial port, and powers itself off when the ACPI power button is pressed. */
        .code32
        .set base, 0x100000
        .globl _start
_start:
header: .long 0x1badb002, 0x00010000, -(0x1badb002 + 0x00010000)
        .long base                      /* header_addr */
        .long base                      /* load_addr */
        .long base + end - header       /* load_end_addr */
        .long base + end - header       /* bss_end_addr */
        .long base + entry - header     /* entry_addr */
entry:  mov   $0x602, %dx               /* PM1 enable: power button */
        mov   $0x100, %ax
        out   %ax, %dx
        mov   $0x3f8, %dx
        mov   $'!', %al                 /* says that it runs */
        out   %al, %dx
poll:   mov   $0x600, %dx               /* PM1 status */
        in    %dx, %ax
        test  $0x100, %ax
        jz    serial
        mov   $0x604, %dx               /* PM1 control: S5 */
        mov   $0x2000, %ax
        out   %ax, %dx
serial: mov   $0x3fd, %dx               /* line status: a byte has come */
        in    %dx, %al
        test  $1, %al
        jz    poll
        mov   $0x3f8, %dx
        in    %dx, %al
        out   %al, %dx
        jmp   poll
end:
