/*
 * A move: one machine goes from its source to its destination while it runs (docs/architecture.md, 4.7). No time: that a host is proven
 * dead only when it is, is what fencing.pml checks. README.md beside this file says what each name is in the product.
 *
 * Every action may come late by any time, or never. An order that was given may arrive at any later time, and twice, until the agent that it
 * was for is gone.
 */
#define SAY(words) printf(words)

mtype = { gone, waits, loaded, still, runs };       /* the machine on a host. `still`: paused, and sent or being sent */
mtype = { idle, moving, sent, failed };             /* what the source's agent knows of a departure */
mtype = { open, switched, closed };                 /* the record of the move */

/* ---- the source ---- */
mtype src = runs;
mtype departure = idle;
bit srcRecord = 1;              /* its agent may start the machine on the spot */
bit handedOver;                 /* written down: nothing of it runs here by itself */

/* ---- the destination ---- */
mtype dst = gone;
bit dstRecord;                  /* it ran here */
bit dstSessionOver;             /* its agent is another one by now: orders of this move are void there */

/* ---- the store ---- */
mtype record = open;
bit ownerIsDst;
bit isUndone;                   /* the journal of the task says that the move is being undone */
bit srcProven; bit dstProven;   /* proofs that reach this machine */
bit srcLeft; bit dstLeft;       /* `released`, for its epoch */

/* ---- the leader's memory, and orders on their way ---- */
bit heardSent;
bit orderDepart; bit orderComplete; bit orderGoOn; bit orderReleaseSrc; bit orderReleaseDst;
bit answeredGoOn;

/* ---- a third host ---- */
bit elsewhere;

#define ONE_WRITER assert((src == runs) + (dst == runs) + elsewhere <= 1)
#define SRC_RUNS src = runs; assert(!ownerIsDst); ONE_WRITER
#define DST_RUNS dst = runs; assert(ownerIsDst); ONE_WRITER
#define itWasSwitched (ownerIsDst && dstProven)
#define dstIsGone (dstLeft || dstProven)
#define srcIsGone (srcLeft || srcProven)

active proctype source() {
  do
  :: d_step { orderDepart && departure == idle && src == runs && !handedOver -> SAY("the source begins to send it\n"); departure = moving }
  :: d_step { departure == moving && src == runs && !handedOver ->
      SAY("it stands still at the source, which writes down that it is handed over\n"); src = still;
#ifndef HAND_OVER_NOT_WRITTEN
      handedOver = 1
#endif
    }
  :: d_step { departure == moving && src == still && dst == waits -> SAY("the destination has all of it\n"); dst = loaded }
  :: d_step { departure == moving && src == still && dst == loaded -> SAY("the source says that all is sent\n"); departure = sent }
  :: d_step { departure == moving -> SAY("the stream breaks\n");
      departure = failed;
      if :: dst == waits -> dst = gone :: else fi;
      if :: src == still -> SAY("  and the source's QEMU runs on for a moment\n"); SRC_RUNS :: else fi }
  :: d_step { departure == failed && handedOver && src == runs -> SAY("the source's agent stops it\n"); src = still }
  :: d_step { departure == failed && !handedOver && src == still && srcRecord -> SAY("it goes on at the source\n"); SRC_RUNS }
  :: d_step { src != gone -> SAY("its process at the source dies\n"); src = gone; if :: departure == moving -> departure = failed :: else fi }
  :: d_step { src == gone && srcRecord && !handedOver && !srcProven -> SAY("the source starts it again on the spot\n"); SRC_RUNS }
  :: d_step { !srcProven -> SAY("the source's agent is killed and starts anew\n");
      departure = idle; orderDepart = 0; orderGoOn = 0; orderReleaseSrc = 0;
      if :: src == still && !handedOver && srcRecord -> SRC_RUNS :: else fi }
  :: d_step { orderGoOn && srcRecord && handedOver && !srcProven -> SAY("the source hears that it is alone, and lets it go on\n");
      handedOver = 0; departure = idle; answeredGoOn = 1; SRC_RUNS }
  :: d_step { orderGoOn && srcRecord && !handedOver && !srcProven -> SAY("the source hears that it is alone\n"); departure = idle; answeredGoOn = 1 }
  :: d_step { orderReleaseSrc && !srcProven -> SAY("the source lets go\n"); src = gone; srcRecord = 0; handedOver = 0; departure = idle; srcLeft = 1 }
  od
}

active proctype destination() {
  do
  :: d_step { record == open && !isUndone && dst == gone && !dstSessionOver && !dstLeft && !dstProven && departure == idle ->
      SAY("a process waits at the destination\n"); dst = waits }
  :: d_step { orderComplete && dst == loaded && !dstSessionOver -> SAY("it runs at the destination\n"); dstRecord = 1; DST_RUNS }
  :: d_step { dst != gone -> SAY("its process at the destination dies\n"); dst = gone }
  :: d_step { dst == gone && dstRecord && !dstProven -> SAY("the destination starts it again on the spot\n"); DST_RUNS }
  :: d_step { !dstProven -> SAY("the destination's agent is killed and starts anew\n");
      dstSessionOver = 1; orderComplete = 0; orderReleaseDst = 0; if :: !dstRecord -> dst = gone :: else fi }
  :: d_step { orderReleaseDst && !dstProven -> SAY("the destination lets go\n"); dst = gone; dstRecord = 0; dstLeft = 1 }
  od
}

active proctype hosts() {       /* a host is cut off, or dies; when that is proven, nothing of it runs */
  do
  :: d_step { !srcProven -> SAY("the source is proven dead\n"); src = gone; srcRecord = 0; departure = idle; srcProven = 1;
      orderDepart = 0; orderGoOn = 0; orderReleaseSrc = 0 }
  :: d_step { !dstProven -> SAY("the destination is proven dead\n"); dst = gone; dstRecord = 0; dstSessionOver = 1; dstProven = 1;
      orderComplete = 0; orderReleaseDst = 0 }
  od
}

active proctype leader() {
  do
  /* ---- forward ---- */
  :: d_step { record == open && !isUndone && dst == waits -> orderDepart = 1 }
  :: d_step { record == open && departure == sent -> SAY("the leader hears that all is sent\n"); heardSent = 1 }
  :: d_step { (record == open && !dstSessionOver && !srcProven && !dstProven
#ifndef SWITCHED_BEFORE_SENT
      && heardSent
#endif
#ifndef SWITCH_OUTLIVES_ITS_LEADER
      && !isUndone
#endif
      ) -> SAY("THE DESTINATION BECOMES THE OWNER\n"); record = switched; ownerIsDst = 1; heardSent = 0 }
#ifdef COMPLETED_BEFORE_SWITCHED
  :: d_step { record == open && heardSent && !isUndone -> orderComplete = 1 }
#endif
  :: d_step { record == switched && !dstSessionOver && !dstProven -> orderComplete = 1 }
  :: d_step { record == switched && !srcProven -> orderReleaseSrc = 1 }
  :: d_step { record == switched && !dstProven -> SAY("the leader gives the move's end up\n"); orderReleaseDst = 1 }
  :: d_step { record == switched && srcIsGone -> SAY("the record is closed\n"); record = closed }

  /* ---- back ---- */
  :: d_step { record == open && !isUndone -> SAY("the move is undone\n"); isUndone = 1; heardSent = 0 }
  :: d_step { record == open && isUndone && !dstProven -> orderReleaseDst = 1 }
  :: d_step { (record == open && !srcProven
#ifndef RESUMED_WITHOUT_PROOF
      && isUndone && dstIsGone
#endif
      ) -> SAY("the leader tells the source that it is alone\n"); orderGoOn = 1 }
  :: d_step { record == open && isUndone && dstIsGone && (answeredGoOn || srcProven) -> SAY("the record is closed\n"); record = closed }

  /* ---- started elsewhere: only when nobody who may hold it is alive ---- */
  :: d_step { !elsewhere && (
#ifdef DESTINATION_FORGOTTEN
       record != closed && srcProven ||
#endif
       record == closed && !ownerIsDst && srcProven || record == closed && ownerIsDst && dstIsGone) ->
      SAY("IT RUNS ON A THIRD HOST\n"); elsewhere = 1;
#ifdef REACHES
      assert(!(REACHES));
#endif
      ONE_WRITER }
  :: d_step { heardSent -> SAY("a new leader begins\n"); heardSent = 0 }
  od
}
