/** Programs for `perl -e` that speak Ethernet, frame by frame. AF_PACKET is 17, SOCK_RAW is 3, SIOCGIFINDEX is 0x8933. */

/** Prints `ready`, then each frame that it hears or that is sent, as hexadecimal digits, and ends after so many seconds. */
export function listenerProgram(device: string, seconds: number): string {
  return `$|=1; ${openSocket(device)} bind(S,$at) or die $!; print "ready\\n"; $SIG{ALRM}=sub{exit}; alarm ${seconds}; while(1){ recv(S,$f,2000,0); print unpack("H*",$f),"\\n" }`
}

/** Sends its arguments, frames as hexadecimal digits. */
export function senderProgram(device: string): string {
  return `${openSocket(device)} for(@ARGV){ send(S,pack("H*",$_),0,$at) or die $! }`
}

function openSocket(device: string): string {
  return `socket(S,17,3,unpack("S",pack("n",3))) or die $!; ioctl(S,0x8933,$r=pack("a16x24","${device}")) or die $!; $at=pack("SnISCCa8",17,3,unpack("x16i",$r),0,0,6,"");`
}
