/*
 * A guest of 135 bytes: echoes its serial port, tells the byte before it when it reads '?', lets go of a disk that is to be pulled out, and
 * powers itself off when the ACPI power button is pressed.
 */
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
        jz    slots
        mov   $0x604, %dx               /* PM1 control: S5 */
        mov   $0x2000, %ax
        out   %ax, %dx
slots:  mov   $7, %ecx                  /* ACPI hot-plug: each bus that has it */
slot:   mov   %ecx, %eax
        mov   $0xcd0, %dx               /* selects the bus */
        out   %eax, %dx
        mov   $0xcc4, %dx               /* slots that are to be emptied */
        in    %dx, %eax
        test  %eax, %eax
        jz    next
        mov   $0xcc8, %dx               /* ejects */
        out   %eax, %dx
next:   dec   %ecx
        jns   slot
        mov   $0x3fd, %dx               /* line status: a byte has come */
        in    %dx, %al
        test  $1, %al
        jz    poll
        mov   $0x3f8, %dx
        in    %dx, %al
        cmp   $'?', %al
        je    tell
        mov   %al, before
        out   %al, %dx
        jmp   poll
tell:   mov   before, %al
        out   %al, %dx
        jmp   poll
before: .byte '-'
end:
