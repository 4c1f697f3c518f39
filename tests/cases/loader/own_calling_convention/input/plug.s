	.text
	.globl plug
	.type plug,%function
plug:
	stp x29,x30,[sp,-16]!
	cbz w0,1f
	bl called
	bl plain
1:	mov w0,0
	ldp x29,x30,[sp],16
	ret
	.variant_pcs called
	.section .note.GNU-stack,"",%progbits
