/*
 * Leases, pill, watchdog and fencing: one machine, host `a` that has it, host `b` that may take it over, one leader at a time.
 * README.md beside this file says what each name is in the product, what is left out, and what is assumed.
 *
 * Every action may come late by any time, or never: that is a pause, a lost message, a crash. Certain are only the three things that the
 * protocol relies on, and they are in `time`: the hardware resets W after the last pet, then kills within K, and what was written is on
 * the disk, or never comes, within D. Where several histories differ only in how much a host may do, the one in which it may do more
 * stands for all.
 */
#include "timings.pml"

#ifndef LACKS
#define LACKS 0
#endif
#define LEASE_PROOF_AFTER (TTL + W + K + D - LACKS)
#define PILL_PROOF_AFTER (R + W + K + D - LACKS)

/* Counts down to 1, and holds up to and including that moment. 0: over. */
#define SPAN(length) ((length) + 1)

#define SAY(words) printf(words)

mtype = { gone, waits, frozen, resumes, runs };         /* the machine on host a: `waits` for the leader to confirm its epoch; `resumes`:
                                                           its licence was looked at, and nobody looks again before it runs */
mtype = { none, sent, admitted, confirmed };            /* a heartbeat on its way, or its answer */
mtype = { unproven, released, rebooted, power, lease }; /* proofs that host a can write no more */

#define NOTHING 0
#define HOLDS 15

/* ---- host a ---- */
mtype vm = runs;
byte vmEpoch = 1;               /* of the process or of its record */
bit record = 1;                 /* it ran under this epoch: the agent may start it on the spot */
byte drain;                     /* what a killed process had written may still land */
bit isUp = 1;
byte petLeft = W;               /* the hardware watchdog */
byte resetLeft;                 /* 0: no reset has begun */

/* ---- its agent and its watchdog process ---- */
byte leaseLeft = SPAN(TTL);
byte readLeft;                  /* R from the start of the newest pill-free read */
#ifdef THAW_UNTOLD
bit isThoughtFrozen;
#endif
byte slotVoid;                  /* 1: this host cleared its own slot; 2: before that heartbeat was sent */
#ifdef FIRST_WORD_TOO_EARLY
bit unguarded;
#endif
#ifdef CLOCK_DRIFTS
bit wasSlow;
#endif

/* ---- on the way ---- */
mtype beat = none;
byte beatSpan;                  /* TTL from its sending */
byte beatSays;                  /* NOTHING is held, or something HOLDS, or the epoch that waits to be confirmed */
byte startOrder = 1;            /* the epoch of the newest one in this session of its agent; it may arrive at any time, and twice */

/* ---- the storage: host a's slot ---- */
bit pill;
byte freeLeft = SPAN(R);        /* R from the last moment at which a read could begin that finds no pill */

/* ---- the store ---- */
bit ownerIsB;
byte epoch = 1;
byte highestRun = 1;            /* of all epochs under which a vCPU ran */
bit placedInOldBoot;            /* host a has booted since the machine was placed there */
bit isFenced;                   /* host a gets no acknowledgement */
mtype proof = unproven;

/* ---- the leader's memory ---- */
byte proofLeft = LEASE_PROOF_AFTER;  /* until silence proves something, and the pill as well once it stands */
bit pillStands;                 /* b has written it and read it back */
byte powerStands;               /* a span since the host was read back as off; at 1 it is over */
bit isReturning;

#ifdef THAW_UNTOLD
#define isExcused isThoughtFrozen
#else
#ifdef FIRST_WORD_TOO_EARLY
#define isExcused (vm == frozen || unguarded)
#else
#define isExcused (vm == frozen)
#endif
#endif
#define mayBePetted (vm == gone || isExcused || leaseLeft > 0 || readLeft > 0)
#define aWrites (vm == runs || drain > 0)
#define licensed (leaseLeft > 0 || (readLeft > 0 && slotVoid == 0))
#define ONE_WRITER assert(!(aWrites && ownerIsB))

inline end_process() {
  if :: vm == runs -> drain = D :: else fi;
  vm = gone
}
inline forget() { record = 0; vmEpoch = 0 }
inline forget_beat() { beat = none; beatSpan = 0; beatSays = NOTHING }
inline agent_dies() {
  startOrder = 0; forget_beat();
#ifdef CLEARED_SLOT_FORGOTTEN
  slotVoid = 0
#else
  if :: slotVoid > 0 -> slotVoid = 1 :: else fi
#endif
}
inline host_dies() {
  end_process(); forget(); agent_dies(); slotVoid = 0; leaseLeft = 0; readLeft = 0; petLeft = 0; resetLeft = 0; isUp = 0;
  if :: !ownerIsB -> placedInOldBoot = 1 :: else fi
}
inline place_on_a() { epoch++; startOrder = epoch; placedInOldBoot = 0 }
inline forget_fencing() { pillStands = 0; powerStands = 0 }
inline down(counter) { counter = (counter > 0 -> counter - 1 : 0) }

inline tick_of_host_a() { down(leaseLeft); down(readLeft); down(beatSpan); if :: beatSpan == 0 -> forget_beat() :: else fi }
inline tick_of_all_else() {
  down(drain);
  if
  :: !isUp
  :: isUp && resetLeft > 0 -> resetLeft--; if :: resetLeft == 0 -> SAY("  host a is reset\n"); host_dies() :: else fi
  :: isUp && resetLeft == 0 -> petLeft--; if :: mayBePetted -> petLeft = W :: else fi
  fi;
  if :: pill -> down(freeLeft) :: else fi;
  down(proofLeft); if :: powerStands > 1 -> powerStands-- :: else fi
}
#define resetIsDue (isUp && petLeft == 0 && resetLeft == 0)

active proctype time() {
  do
  :: d_step { !resetIsDue -> SAY("a tick\n"); tick_of_host_a(); tick_of_all_else() }
#ifdef CLOCK_DRIFTS
  :: d_step { !resetIsDue && !wasSlow -> SAY("a tick that the clock of host a misses\n"); wasSlow = 1; tick_of_all_else() }
#endif
  :: d_step { resetIsDue -> SAY("the hardware of host a was not petted in time and begins to reset it\n"); resetLeft = K }
  od
}

active proctype host_a() {
  do
  /* ---- heartbeats ---- */
  :: d_step { isUp && beat == none ->
      SAY("host a sends a heartbeat\n");
      beat = sent; beatSpan = SPAN(TTL);
      if :: vm == waits -> beatSays = vmEpoch :: vm != waits && vmEpoch > 0 -> beatSays = HOLDS :: else -> beatSays = NOTHING fi;
      if :: slotVoid == 1 -> slotVoid = 2 :: else fi }
  :: d_step { isUp && (beat == admitted || beat == confirmed) ->
      SAY("host a is acknowledged\n");
#ifdef LEASE_FROM_RECEIPT
      leaseLeft = SPAN(TTL);
#else
      if :: leaseLeft < beatSpan -> leaseLeft = beatSpan :: else fi;
#endif
      if :: slotVoid == 2 -> slotVoid = 0 :: else fi;
      if :: beat == confirmed && vm == waits && vmEpoch == beatSays && licensed -> SAY("  and its start is confirmed\n"); vm = resumes :: else fi;
      forget_beat() }

  /* ---- its slot ---- */
#ifdef PILL_FROM_CACHE
  :: d_step { isUp && slotVoid == 0 -> SAY("host a reads its slot from a cache: no pill\n"); readLeft = SPAN(R) }
#endif
  :: d_step { isUp && freeLeft > 0 && slotVoid == 0 && readLeft < freeLeft ->
      SAY("host a has read its slot: no pill\n");
#ifdef READ_COUNTED_FROM_ITS_END
      readLeft = SPAN(R);
#else
      readLeft = freeLeft;
#endif
    }
  :: d_step { isUp && pill && vm != gone -> SAY("host a has read its slot: a pill, and kills the machine\n"); end_process() }
  :: d_step { isUp && pill -> SAY("host a clears its own slot, by an order that may be old\n"); pill = 0; freeLeft = SPAN(R); slotVoid = 1 }

  /* ---- a licence ends, and comes back ---- */
  :: d_step { isUp && vm == runs && leaseLeft <= 1 && readLeft <= 1 -> SAY("host a freezes the machine\n"); vm = frozen;
#ifdef THAW_UNTOLD
      isThoughtFrozen = 1
#endif
    }
  :: d_step { isUp && vm == frozen && licensed -> SAY("host a is about to thaw the machine\n"); vm = resumes }

  /* ---- it starts: by order, or on the spot ---- */
  :: d_step { isUp && startOrder > vmEpoch && licensed ->
      SAY("host a takes the order to start it: its process waits\n");
      end_process(); record = 0; vm = waits; vmEpoch = startOrder }
  :: d_step { isUp && record && vm == gone && licensed -> SAY("host a starts it again on the spot\n"); vm = resumes }
#ifdef UNCONFIRMED_START
  :: d_step { isUp && vm == waits && licensed -> SAY("host a does not wait for a confirmation\n"); vm = resumes }
#endif
  :: d_step { isUp && vm == resumes ->
      SAY("THE MACHINE RUNS ON HOST A\n");
      vm = runs; record = 1; assert(vmEpoch >= highestRun); highestRun = vmEpoch; ONE_WRITER }
  :: d_step { vm == waits || vm == runs -> SAY("its process dies\n");
      end_process() }

  /* ---- it lets go, by order or because of a pill ---- */
  :: d_step { isUp && vm != gone -> SAY("host a kills it\n"); end_process() }
  :: d_step { (isUp && vm == gone && vmEpoch > 0
#ifndef RELEASED_BEFORE_DRAINED
      && drain == 0
#endif
      ) -> SAY("host a forgets it\n"); forget() }

  /* ---- the agent is killed and starts anew; the host loses its power, and boots ---- */
  :: d_step { isUp && (record || drain == 0) -> SAY("the agent of host a is killed and starts anew\n");
      agent_dies();
      if
      :: !record -> end_process(); forget()
      :: record && vm == resumes -> vm = frozen
      :: else
      fi;
#ifdef FIRST_WORD_TOO_EARLY
      unguarded = (vm != gone)
#endif
    }
#ifdef FIRST_WORD_TOO_EARLY
  :: d_step { isUp && unguarded -> unguarded = 0 }
#endif
  :: d_step { isUp -> SAY("host a loses its power\n"); host_dies() }
  :: d_step { !isUp && drain == 0 -> SAY("host a boots\n"); isUp = 1; petLeft = W }

  /* ---- the watchdog process looks ---- */
  :: d_step { isUp && resetLeft == 0 && petLeft < W && mayBePetted -> SAY("the watchdog of host a is petted\n"); petLeft = W }
  od
}

active proctype leader() {
  do
  /* ---- heartbeats ---- */
  :: d_step { beat == sent ->
      if
      :: isFenced && beatSays != NOTHING -> SAY("the leader answers: let go\n"); forget_beat()
      :: isFenced && beatSays == NOTHING ->
         SAY("the leader hears that host a holds nothing\n");
         if :: proof == unproven -> proof = released :: else fi;
         forget_fencing(); isReturning = 1; forget_beat()
      :: !isFenced ->
         SAY("the leader acknowledges\n");
         proofLeft = LEASE_PROOF_AFTER;
         if :: placedInOldBoot && !ownerIsB -> proof = rebooted :: else fi;
#ifdef EPOCH_NOT_COMPARED
         if :: !ownerIsB && beatSays != NOTHING && beatSays != HOLDS -> beat = confirmed
#else
         if :: !ownerIsB && startOrder == epoch && beatSays == epoch -> beat = confirmed
#endif
         :: else -> beat = admitted; beatSays = NOTHING
         fi
      fi }
#ifdef DEPOSED_LEADER_ACKNOWLEDGES
  :: d_step { beat == sent && isFenced -> SAY("a deposed leader acknowledges\n"); beat = admitted; beatSays = NOTHING }
#endif
#ifdef STALE_REPORT
  :: d_step { isFenced && proof == unproven -> SAY("an old heartbeat says that host a holds nothing\n"); proof = released; forget_fencing(); isReturning = 1 }
#endif
  :: d_step { beat != none -> SAY("a message is lost\n"); forget_beat() }
  :: d_step { isReturning && proof != unproven -> SAY("the leader admits host a again\n");
      isReturning = 0; isFenced = 0; proof = unproven; proofLeft = LEASE_PROOF_AFTER }

  /* ---- fencing: begun at any moment, since whether it is wise is another matter ---- */
  :: d_step { !isFenced && !ownerIsB -> SAY("the leader begins to fence host a\n"); isFenced = 1; isReturning = 0; forget_fencing() }
  :: d_step { isFenced && proof == unproven && !pillStands ->
      SAY("a pill stands in the slot of host a\n");
      pill = 1; pillStands = 1;
#ifndef NO_PILL_WAIT
      if :: proofLeft < PILL_PROOF_AFTER -> proofLeft = PILL_PROOF_AFTER :: else fi
#endif
    }
  :: d_step { isFenced && proof == unproven && proofLeft == 0 && pillStands -> SAY("proof by lease\n"); proof = lease; forget_fencing() }
  :: atomic { isFenced && proof == unproven && powerStands == 0 ->
      if
      :: isUp -> SAY("the power fence switches host a off\n"); host_dies()
#ifdef FENCE_DEVICE_LIES
      :: isUp -> SAY("the power fence says that host a is off, and lies\n")
#endif
      :: !isUp -> SAY("the power fence finds host a off\n")
      fi;
#ifdef POWER_BEFORE_DRAINED
      powerStands = 1
#else
      powerStands = SPAN(D)
#endif
    }
  :: d_step { isFenced && proof == unproven && powerStands == 1 -> SAY("proof by power\n"); proof = power; forget_fencing() }

  /* ---- placing ---- */
  :: d_step { !ownerIsB && proof != unproven && epoch < EPOCHS ->
      SAY("THE MACHINE IS PLACED AND RUNS ON HOST B\n");
#ifdef REACHES
      assert(proof != REACHES);
#endif
      if :: proof == rebooted -> proof = unproven :: else fi;
      ownerIsB = 1; placedInOldBoot = 0; epoch++; assert(epoch > highestRun); highestRun = epoch; ONE_WRITER }
  :: d_step { ownerIsB && !isFenced && epoch < EPOCHS -> SAY("host b has let go of it, and it is placed on host a\n");
      ownerIsB = 0; place_on_a() }
  :: d_step { !ownerIsB && !isFenced && proof == unproven && epoch < EPOCHS -> SAY("it is placed on host a anew\n"); place_on_a() }

  /* ---- it dies; the next one knows what is stored, and nothing else ---- */
  :: d_step { SAY("a new leader begins\n"); forget_fencing(); isReturning = 0;
#ifdef NEW_LEADER_DOES_NOT_WAIT
      proofLeft = 0
#else
      proofLeft = LEASE_PROOF_AFTER
#endif
    }
  od
}
