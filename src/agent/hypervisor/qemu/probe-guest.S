/*
 * What a stock kernel needs of an accelerator, in half a kilobyte: paging, long mode, an interrupt table, a timer interrupt that
 * wakes a halted processor, and the processor's identification. Leaves through the debug-exit device at port 0x501.
 */
        .code32
        .set base, 0x100000
        .set tables, 0x200000
        .set idt, 0x210000
        .globl _start
_start:
header: .long 0x1badb002, 0x00010000, -(0x1badb002 + 0x00010000)
        .long base, base, base + end - header, base + end - header, base + entry - header
gdt:    .quad 0, 0x00af9a000000ffff, 0x00cf92000000ffff
gdtr:   .word 23
        .long base + gdt - header
idtr:   .word 0x21 * 16 - 1
        .quad idt
entry:  mov   $base + 0x8000, %esp
        mov   $tables, %edi             /* identity map of the first GiB in 2 MiB pages */
        mov   $0x5000, %ecx
        xor   %eax, %eax
        rep   stosl
        movl  $tables + 0x1003, tables
        movl  $tables + 0x2003, tables + 0x1000
        mov   $tables + 0x2000, %edi
        mov   $0x83, %eax
        mov   $512, %ecx
map:    mov   %eax, (%edi)
        movl  $0, 4(%edi)
        add   $0x200000, %eax
        add   $8, %edi
        loop  map
        mov   $tables, %eax
        mov   %eax, %cr3
        mov   %cr4, %eax
        or    $0x20, %eax               /* PAE */
        mov   %eax, %cr4
        mov   $0xc0000080, %ecx
        rdmsr
        or    $0x100, %eax              /* LME */
        wrmsr
        mov   %cr0, %eax
        or    $0x80000000, %eax
        mov   %eax, %cr0
        lgdt  base + gdtr - header
        ljmp  $8, $base + long - header
        .code64
long:   mov   $16, %eax
        mov   %eax, %ds
        mov   %eax, %es
        mov   %eax, %ss
        mov   $idt, %edi                /* all vectors empty but 0x20, the timer */
        mov   $0x21 * 4, %ecx
        xor   %eax, %eax
        rep   stosl
        mov   $base + tick - header, %eax
        mov   $idt + 0x200, %edi
        mov   %ax, (%rdi)
        movw  $8, 2(%rdi)
        movw  $0x8e00, 4(%rdi)
        shr   $16, %eax
        mov   %ax, 6(%rdi)
        lidt  base + idtr - header
        mov   $0x400000, %edi           /* clear 32 MiB, as a kernel does: instant on hardware, endless where each page or instruction is emulated */
        mov   $0x2000000, %ecx
        xor   %eax, %eax
        rep   stosb
        mov   $0x400000, %edi           /* and map each page of it anew */
        mov   $8192, %ecx
touch:  incl  (%rdi)
        invlpg (%rdi)
        incl  (%rdi)
        add   $4096, %edi
        loop  touch
        mov   $0x11, %al                /* both interrupt controllers: vectors from 0x20, only the timer let through */
        out   %al, $0x20
        out   %al, $0xa0
        mov   $0x20, %al
        out   %al, $0x21
        mov   $0x28, %al
        out   %al, $0xa1
        mov   $4, %al
        out   %al, $0x21
        mov   $2, %al
        out   %al, $0xa1
        mov   $1, %al
        out   %al, $0x21
        out   %al, $0xa1
        mov   $0xfe, %al
        out   %al, $0x21
        mov   $0xff, %al
        out   %al, $0xa1
        mov   $0x34, %al                /* timer: 1000 a second */
        out   %al, $0x43
        mov   $0xa9, %al
        out   %al, $0x40
        mov   $4, %al
        out   %al, $0x40
        xor   %ebx, %ebx
        sti
wait:   hlt
        xor   %eax, %eax
        push  %rbx
        cpuid
        pop   %rbx
        rdtsc
        cmp   $20, %ebx
        jb    wait
        mov   $0x10, %al                /* exit code 33 */
        mov   $0x501, %dx
        out   %al, %dx
stop:   hlt
        jmp   stop
tick:   inc   %ebx
        push  %rax
        mov   $0x20, %al
        out   %al, $0x20
        pop   %rax
        iretq
end:
