//! Collectives give every rank the right bytes, and end when a rank ends.

use super::*;

fn message(from: usize, to: usize, turn: usize) -> Vec<u8> {
    let length = (from * 7 + to * 3 + turn) % 11;
    vec![(from * 31 + to * 5 + turn) as u8; length]
}

#[test]
fn every_rank_gets_what_was_sent_to_it_turn_after_turn() {
    for size in 1..=8 {
        let done = run_local(size, |comm| {
            let rank = comm.rank();
            let mut sends = vec![Vec::new(); size];
            let mut receives = vec![b"old".to_vec(); size];
            for turn in 0..50 {
                for (to, send) in sends.iter_mut().enumerate() {
                    assert!(send.is_empty());
                    send.extend(message(rank, to, turn));
                }
                comm.all_to_all(&mut sends, &mut receives)?;
                for (from, receive) in receives.iter().enumerate() {
                    assert_eq!(*receive, message(from, rank, turn), "{size} {turn}");
                }
                let sum = comm.all_reduce_sum(rank as u64 + turn as u64)?;
                assert_eq!(sum as usize, size * (size - 1) / 2 + size * turn);
                assert_eq!(comm.all_reduce_max(rank as u64)? as usize, size - 1);
                if turn % 3 == rank % 3 {
                    thread::yield_now();
                }
                comm.barrier()?;
            }
            Ok::<usize, CommError>(rank)
        });
        assert_eq!(done.unwrap(), (0..size).collect::<Vec<_>>());
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
enum TestError {
    #[error("the file is gone")]
    Own,
    #[error(transparent)]
    Comm(#[from] CommError),
}

#[test]
fn an_error_on_one_rank_ends_the_others_with_its_text() {
    let failure = run_local(4, |comm| -> Result<(), TestError> {
        comm.barrier()?;
        if comm.rank() == 2 {
            return Err(TestError::Own);
        }
        loop {
            comm.all_reduce_sum(1)?;
        }
    })
    .unwrap_err();
    assert_eq!(failure.ranks.len(), 4);
    for (rank, failure) in failure.ranks {
        if rank == 2 {
            assert_eq!(failure, RankFailure::Error(TestError::Own));
            continue;
        }
        // The error names the first rank that left: the cause, or one that failed because of it.
        let text = failure.to_string();
        assert!(text.contains("the file is gone"), "{rank}: {text}");
    }
}

#[test]
fn a_panic_on_one_rank_ends_the_others() {
    let failure = run_local(3, |comm| {
        assert_ne!(comm.rank(), 0, "rank zero fails");
        comm.barrier()
    })
    .unwrap_err();
    assert!(matches!(&failure.ranks[0], (0, RankFailure::Panic(text)) if text.contains("zero")));
    assert_eq!(failure.ranks.len(), 3);
}

#[test]
fn a_rank_that_returns_early_gives_an_error_to_those_that_wait() {
    let failure = run_local(3, |comm| if comm.rank() == 1 { Ok(()) } else { comm.barrier() });
    let ranks = failure.unwrap_err().ranks;
    assert_eq!(ranks.iter().map(|(rank, _)| *rank).collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn a_world_stays_broken_for_a_rank_that_tries_again() {
    let failure = run_local(3, |comm| {
        if comm.rank() == 1 {
            return Ok(());
        }
        let first = comm.barrier();
        assert!(first.is_err());
        assert!(comm.barrier().is_err() && comm.all_reduce_max(1).is_err());
        first
    });
    assert_eq!(failure.unwrap_err().ranks.len(), 2);
}

#[test]
fn a_wrong_number_of_buffers_is_refused() {
    let result = run_local(1, |comm| comm.all_to_all(&mut [], &mut [Vec::new()]));
    let failure = result.unwrap_err().ranks.remove(0).1;
    assert_eq!(failure, RankFailure::Error(CommError::BufferCount { size: 1, buffers: 0 }));
}
